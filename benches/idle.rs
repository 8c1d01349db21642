//! Fifty replicas without health checks and without requests: what the daemon's processes use over 60 s.

use std::time::Duration;

use crate::Shared;
use crate::fifty::Fifty;
use crate::figure::Figure;

/// For so long it is watched.
const SPAN: Duration = Duration::from_secs(60);
/// What an apply leaves to be done ends within this time: tags of images, logs, the last writes.
const SETTLE: Duration = Duration::from_secs(5);
/// Linux reports processor time in hundredths of a second, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

struct Usage {
    cpu_seconds: f64,
    resident_mib: f64,
}

pub(crate) fn measure(shared: &Shared) -> Vec<Figure> {
    let Fifty(daemon) = shared.get_or_init(Fifty::start);
    let one = |role: &str| match daemon.pids(role)[..] {
        [pid] => pid,
        ref pids => panic!("{role}: {pids:?}"),
    };
    let (controller, balancer) = (one("controller"), one("balancer"));
    let supervisor = parent(controller);
    let all = [controller, balancer, supervisor];
    std::thread::sleep(SETTLE);
    let before = all.map(usage);
    std::thread::sleep(SPAN);
    let after = all.map(usage);
    let cpu = |n: usize| 100.0 * (after[n].cpu_seconds - before[n].cpu_seconds) / SPAN.as_secs_f64();
    let memory = |n: usize| after[n].resident_mib;
    let shares = format!("controller {:.2}, balancer {:.2}; supervisor {:.2}", cpu(0), cpu(1), cpu(2));
    let sizes =
        format!("controller {:.1}, balancer {:.1}; supervisor {:.1}", memory(0), memory(1), memory(2));
    vec![
        Figure::at_most(
            "idle, 50 replicas, 60 s: controller and balancer",
            cpu(0) + cpu(1),
            1.0,
            "% of a core",
            &shares,
        ),
        Figure::at_most("the same: resident", memory(0) + memory(1), 60.0, "MiB", &sizes),
    ]
}

fn parent(pid: i32) -> i32 {
    field(&status(pid), "PPid:").parse().expect("a process id")
}

fn status(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs")
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of /proc");
    line.split_whitespace().next().expect("a value").to_owned()
}

fn usage(pid: i32) -> Usage {
    let kib: f64 = field(&status(pid), "VmRSS:").parse().expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name is in parentheses and may hold anything; user and system time are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = rest.split_whitespace().skip(11).take(2).map(|text| text.parse::<f64>().expect("a number"));
    Usage { cpu_seconds: ticks.sum::<f64>() / TICKS_PER_SECOND, resident_mib: kib / 1024.0 }
}
