//! The first byte of a command's output, on whichever stream it comes: a user who typed something sees that it is being
//! done. Each command is started, and its output is a pipe.

use std::io::Read;
use std::time::Duration;

use crate::Shared;
use crate::daemon::Daemon;
use crate::figure::{Figure, median, millis, timed};
use crate::replicas::manifest;

const RUNS: usize = 5;

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let daemon = Daemon::start();
    let v2 = daemon.image("v2");
    let file = manifest(&daemon, &daemon.image("v1"), 2, "  health: /healthz\n  rollout: {healthyFor: 0s}\n");
    daemon.expect(0, &["apply", "-f", &file]);
    let commands: [&[&str]; 11] = [
        &["apply", "-f", &file],
        &["scale", "hello=3"],
        &["scale", "hello=2"],
        &["restart", "hello"],
        // a restart is no release that could be undone
        &["rollout", "hello", "--image", &v2],
        &["undo", "hello"],
        &["rollout", "hello"],
        &["get", "replicas"],
        &["describe", "hello"],
        &["why", "hello"],
        &["history", "hello"],
    ];
    let mut slowest = (0.0, "");
    let mut all = Vec::new();
    for args in commands.iter().cycle().take(RUNS * commands.len()) {
        let time = millis(first_byte(&daemon, args));
        if time > slowest.0 {
            slowest = (time, args[0]);
        }
        all.push(time);
    }
    let what = format!(
        "first byte of a command's output, the longest of {RUNS} runs of {} commands",
        commands.len()
    );
    let details = format!("median {:.0} ms, longest `ctl {}`", median(&all), slowest.1);
    vec![Figure::at_most(&what, slowest.0, 100.0, "ms", &details)]
}

/// From the command's start to its first byte; returns once it has ended well.
fn first_byte(daemon: &Daemon, args: &[&str]) -> Duration {
    let (mut output, out) = std::io::pipe().expect("a pipe");
    let err = out.try_clone().expect("a second end");
    let mut command = daemon.command(args);
    command.stdout(out).stderr(err);
    let (time, mut child) = timed(|| {
        let child = command.spawn().expect("ctl starts");
        output.read_exact(&mut [0]).expect("it says something");
        child
    });
    drop(command); // it holds ends of the pipe
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).expect("it is read to its end");
    let ended = child.wait().expect("it ends");
    assert!(ended.success(), "ctl {args:?}: {}", String::from_utf8_lossy(&rest));
    time
}
