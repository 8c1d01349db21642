//! On a terminal: a real one, of which the test holds the other end.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coxswain::api::types::{
    ConfirmResponse, DaemonStatus, List, OperationOutcome, WriteAction, WriteResponse,
};
use coxswain::model::{ConditionKind, Reason, ReplicaPhase};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::objects::{condition, daemon, result, revision, service, snapshot};
use super::stub::{Reply, Stub};
use super::transcript::BOUND;

/// Of a terminal that does not say how wide it is.
const COLUMNS: usize = 80;

/// A command with a terminal of its own.
pub(super) struct Terminal {
    child: Child,
    screen: File,
    shown: String,
}

impl Terminal {
    pub(super) fn start(stub: &Stub, arguments: &str) -> Self {
        Self::with_stdin(stub, arguments, |_| Stdio::null())
    }

    /// A command that can ask: what is typed on its terminal is its standard input.
    fn asking(stub: &Stub, arguments: &str) -> Self {
        Self::with_stdin(stub, arguments, |terminal| terminal.try_clone().unwrap().into())
    }

    fn with_stdin(stub: &Stub, arguments: &str, stdin: impl Fn(&OwnedFd) -> Stdio) -> Self {
        let pty = openpty(None, None).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ctl"))
            .args(arguments.split_whitespace())
            .current_dir(stub.directory())
            .env_clear()
            .envs([("LANG", "C.UTF-8"), ("TERM", "xterm")])
            .env("CTL_SOCKET", stub.socket())
            .stdin(stdin(&pty.slave))
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave)
            .spawn()
            .unwrap();
        Self { child, screen: File::from(pty.master), shown: String::new() }
    }

    /// Reads until the screen was sent this text, or the command has closed it.
    fn until(&mut self, wanted: &str) {
        let mut buffer = [0; 4096];
        while !self.shown.contains(wanted) {
            // On Linux, reading a terminal that no process holds any more is an error.
            match self.screen.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => self.shown += &String::from_utf8_lossy(&buffer[..count]),
            }
        }
        assert!(self.shown.contains(wanted), "no {wanted:?} in {:?}", self.shown);
    }

    fn enter(&mut self, line: &str) {
        writeln!(self.screen, "{line}").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Runs it to its end: what stays on the screen, with elapsed time taken out, and the exit code.
    pub(super) fn run(mut self) -> (String, Option<i32>) {
        let mut sent = Vec::new();
        // On Linux, reading a terminal that no process holds any more is an error.
        drop(self.screen.read_to_end(&mut sent));
        let shown = screen(&String::from_utf8_lossy(&sent));
        let settled = |line: &str| match line.split_once("elapsed ") {
            Some((before, _)) => format!("{before}elapsed [some]\n"),
            None => format!("{line}\n"),
        };
        (shown.lines().map(settled).collect(), self.exit())
    }

    fn exit(mut self) -> Option<i32> {
        let start = tokio::time::Instant::now();
        while start.elapsed() < BOUND {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::SIGKILL);
        panic!("it does not end: {:?}", self.shown);
    }
}

/// What a terminal shows that was sent this: lines, of which some were written again. Colours are left out.
fn screen(sent: &str) -> String {
    let (mut lines, mut row, mut column) = (vec![Vec::<char>::new()], 0, 0);
    let mut rest = sent.chars();
    while let Some(next) = rest.next() {
        match next {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                // `[`, a number, a letter.
                let mut number = String::new();
                let letter = rest.by_ref().skip(1).find(|c| {
                    number.extend(c.is_ascii_digit().then_some(*c));
                    c.is_ascii_alphabetic()
                });
                let count = number.parse().unwrap_or(1);
                match letter {
                    Some('A') => row -= count.min(row),
                    Some('B') => row += count,
                    Some('K') => lines[row].clear(),
                    Some('J') => lines.truncate(row + 1),
                    _ => {}
                }
            }
            shown => {
                // What fills a line is followed by the next one without a word.
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = shown;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let line = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned() + "\n";
    lines.iter().map(line).collect()
}

#[test]
fn ctrl_c_keeps_last_progress_frame() {
    let stub = Stub::start()
        .on(
            "POST /v1/scale",
            [Reply::json(&WriteResponse { results: vec![result("users", WriteAction::Changed)] })],
        )
        .on("GET /v1/revisions?service=users", [Reply::json(&List::of(vec![revision(10, "v2", None)]))])
        .on(
            "GET /v1/services/users/progress?generation=10&awaited=count&counters=true",
            [Reply::silence_after(&[snapshot(1, &[("users-10-a", ReplicaPhase::Ready)], None)])],
        );
    let mut terminal = Terminal::start(&stub, "scale users=2");
    terminal.until("Ctrl-C detaches");
    terminal.shown.clear();
    terminal.signal(Signal::SIGINT);
    terminal.until("detached: the operation on users continues");
    // Wherever the terminal's own `^C` has put the cursor, nothing above is drawn again from there.
    let after = terminal.shown.rsplit("Ctrl-C detaches").next().unwrap_or_default().to_owned();
    assert!(!after.contains("\x1b["), "{after:?}");
    assert_eq!(terminal.exit(), Some(130));
}

#[test]
fn confirm_removes_nothing_unless_the_prompt_is_accepted() {
    let held = condition(ConditionKind::Degraded, true, Reason::DeletionHeld, "14 of 20 containers");
    let status = DaemonStatus { conditions: vec![held], ..daemon() };
    for (answer, exit, outcome, confirmed) in
        [("n", 1, "nothing was changed", 0), ("y", 0, "- users-9-a  confirmed", 1)]
    {
        let stub = Stub::start().on("GET /v1/status", [Reply::json(&status)]).on(
            "POST /v1/confirm",
            [Reply::json(&ConfirmResponse {
                removed: vec!["users-9-a".to_owned()],
                lost_volumes: BTreeSet::new(),
            })],
        );
        let mut terminal = Terminal::asking(&stub, "confirm");
        terminal.until("remove these? [y/N]");
        terminal.enter(answer);
        terminal.until(outcome);
        assert_eq!(terminal.exit(), Some(exit), "{answer}");
        assert_eq!(stub.bodies("POST /v1/confirm").len(), confirmed, "{answer}");
    }
}

/// Time to read is not time that the daemon takes.
#[test]
fn timeout_does_not_run_while_a_question_waits_for_its_answer() {
    let deleted = WriteResponse { results: vec![result("users", WriteAction::Deleted)] };
    let stub = Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(vec![service("users")]))])
        .on("POST /v1/delete", [Reply::json(&deleted)])
        .on(
            "GET /v1/services/users/progress?generation=10&awaited=deletion&counters=true",
            [Reply::lines(&[snapshot(0, &[], Some(OperationOutcome::Deleted))])],
        );
    let mut terminal = Terminal::asking(&stub, "delete users --timeout 4s");
    terminal.until("delete users? [y/N]");
    std::thread::sleep(Duration::from_millis(4100));
    terminal.enter("y");
    terminal.until("✓ users  deleted");
    assert_eq!(terminal.exit(), Some(0));
}

#[test]
fn watch_on_terminal_drops_deleted_rows() {
    let states = [List::of(vec![service("users"), service("web")]), List::of(vec![service("users")])];
    let stub = Stub::start().on("GET /v1/services?watch=true", [Reply::lines(&states)]);
    let (screen, exit) = Terminal::start(&stub, "get -w").run();
    insta::assert_snapshot!(screen, @"
    SERVICE   READY  RESTARTS  REVISION  IMAGE     ROUTE                CHANGED
    users     3/3    0         9         users:v1  shop.acme.dev/users  2m ago
    ! the connection to the daemon is lost; reconnecting …
    error[CTL-0205]: the script is at its end
      help     ctl explain CTL-0205
    ");
    assert_eq!(exit, Some(2));
}

/// Reports of the state before the write took effect are not shown as its progress.
#[test]
fn progress_hides_state_before_the_write() {
    let mut early = snapshot(0, &[("users-9-z", ReplicaPhase::Pulling)], None);
    early.observed = coxswain::model::Generation(9);
    let stub = Stub::start()
        .on(
            "POST /v1/scale",
            [Reply::json(&WriteResponse { results: vec![result("users", WriteAction::Changed)] })],
        )
        .on("GET /v1/revisions?service=users", [Reply::json(&List::of(vec![revision(10, "v2", None)]))])
        .on(
            "GET /v1/services/users/progress?generation=10&awaited=count&counters=true",
            [Reply::silence_after(&[early, snapshot(1, &[("users-10-a", ReplicaPhase::Ready)], None)])],
        );
    let mut terminal = Terminal::start(&stub, "scale users=2 --timeout 1s");
    terminal.until("error[CTL-0413]");
    assert!(
        terminal.shown.contains("users-10-a") && !terminal.shown.contains("users-9-z"),
        "{:?}",
        terminal.shown
    );
    assert_eq!(terminal.exit(), Some(6));
}

#[test]
fn serve_on_terminal_stops_on_sigterm() {
    let stub = Stub::start();
    let mut terminal = Terminal::start(
        &stub,
        "serve --state-dir state --socket serve.sock --http 127.0.0.1:0 --docker /nowhere/docker.sock",
    );
    terminal.until("balancer connected"); // by then it hears signals
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.exit(), Some(0), "it stops on request");
}
