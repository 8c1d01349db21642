//! Reports to the service manager (systemd, `Type=notify`): when the daemon is ready, what it is doing, and that it is alive.
//!
//! Invariants: a message never blocks, because a service manager that does not read must not hold up the supervisor; the
//! watchdog is fed from the supervisor's only thread, so a hung supervisor is restarted; READY is sent once,
//! and after each reload, and does not wait for a controller that cannot start while the balancer serves.
//! Own code, because the crates for this protocol send with a blocking call.

use std::cell::Cell;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock::monotonic_micros;

/// Where the service manager listens; also removed from the environment of children, which must not answer for the supervisor.
pub(super) const ENV_SOCKET: &str = "NOTIFY_SOCKET";
/// Microseconds without a sign of life after which the service manager restarts the daemon.
pub(super) const ENV_WATCHDOG: &str = "WATCHDOG_USEC";
/// The process that the watchdog is meant for.
pub(super) const ENV_WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Signs of life per watchdog period. systemd recommends two; one more may be late on a busy machine.
const SIGNS_PER_PERIOD: u32 = 3;
/// The shortest interval between signs of life: a period that is set too short must not keep the supervisor busy.
const SIGN_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// What a role's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum RoleState {
    /// The first process has not served yet.
    #[default]
    Starting,
    Serving,
    /// A process ended, and its successor has not served yet.
    Restarting,
}

/// What both roles do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DaemonState {
    pub(super) controller: RoleState,
    pub(super) balancer: RoleState,
}

impl DaemonState {
    /// Whether the daemon does what it can: requests are served, and the controller has had its first attempt.
    fn is_ready(self) -> bool {
        self.balancer == RoleState::Serving && self.controller != RoleState::Starting
    }

    /// For `systemctl status`.
    fn text(self) -> &'static str {
        use RoleState::{Restarting, Serving, Starting};
        match (self.controller, self.balancer) {
            (Serving, Serving) => "controller and balancer are running",
            (Starting, Starting) => "starting",
            (Starting, Serving) => "the balancer serves requests; the controller is starting",
            (Restarting, Serving) => "the balancer serves requests; the controller is being restarted",
            (_, Restarting) => "the balancer is being restarted; connections wait",
            (_, Starting) => "the balancer is starting",
        }
    }

    /// The message for a change to this state.
    fn message(self, was_ready: bool) -> String {
        let ready = if self.is_ready() && !was_ready { "READY=1\n" } else { "" };
        format!("{ready}STATUS={}", self.text())
    }
}

/// The way to the service manager, if one started this process.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    /// As last reported.
    state: Cell<DaemonState>,
}

impl ServiceManager {
    /// Reads the environment. A socket that cannot be reached is logged, and the daemon runs without.
    pub(super) fn from_env() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let socket = set(ENV_SOCKET).and_then(|path| match connect(path.as_bytes()) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%error, "cannot reach the service manager at {ENV_SOCKET}={path}");
                None
            }
        });
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let watchdog = watchdog_period(
            text(ENV_WATCHDOG).as_deref(),
            text(ENV_WATCHDOG_PID).as_deref(),
            std::process::id(),
        );
        Self { socket, watchdog, state: Cell::default() }
    }

    /// The daemon stops on request: what comes is no failure.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    /// The daemon reloads its configuration, in systemd's words: it is ready again with [`Self::reloaded`].
    pub(super) fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", monotonic_micros()));
    }

    /// A reload has ended, whatever came of it.
    pub(super) fn reloaded(&self) {
        self.send(&format!("READY=1\nSTATUS={}", self.state.get().text()));
    }

    /// Reports each change of state and feeds the watchdog, until dropped. `was_ready`: an earlier program of this process said so.
    pub(super) async fn report(&self, mut states: watch::Receiver<DaemonState>, was_ready: bool) {
        let period = self.watchdog.unwrap_or(Duration::from_secs(3600));
        let mut signs = tokio::time::interval((period / SIGNS_PER_PERIOD).max(SIGN_INTERVAL_MIN));
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_ready = was_ready;
        states.mark_changed();
        loop {
            tokio::select! {
                _ = signs.tick(), if self.watchdog.is_some() => self.send("WATCHDOG=1"),
                changed = states.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let state = *states.borrow_and_update();
                    self.state.set(state);
                    self.send(&state.message(is_ready));
                    is_ready |= state.is_ready();
                }
            }
        }
    }

    /// A message that finds no room is lost: the next one says more.
    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!(%error, "cannot send to the service manager");
        }
    }
}

/// A socket of the file system, or with `@` of the abstract namespace.
fn connect(path: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match path.strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(std::ffi::OsStr::from_bytes(path))?,
    }
    Ok(socket)
}

/// The period after which the service manager gives this process up; `None` without a watchdog, or with one that is meant
/// for another process.
fn watchdog_period(microseconds: Option<&str>, meant_for: Option<&str>, own_pid: u32) -> Option<Duration> {
    let is_ours = meant_for.is_none_or(|pid| pid == own_pid.to_string());
    let microseconds: u64 = microseconds?.parse().ok()?;
    (is_ours && microseconds > 0).then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemon_is_ready_once_balancer_serves_and_controller_was_tried() {
        use RoleState::{Restarting, Serving, Starting};
        for (controller, balancer, ready) in [
            (Starting, Starting, false),
            (Serving, Starting, false),
            (Starting, Serving, false),
            (Serving, Serving, true),
            // a controller that cannot open its store must not take the traffic down
            (Restarting, Serving, true),
            (Serving, Restarting, false),
            (Restarting, Restarting, false),
        ] {
            let state = DaemonState { controller, balancer };
            assert_eq!(state.is_ready(), ready, "{state:?}");
            assert_eq!(state.message(false).starts_with("READY=1\nSTATUS="), ready, "{state:?}");
            assert!(state.message(true).starts_with("STATUS="), "{state:?}");
        }
    }

    #[test]
    fn watchdog_of_another_process_or_nonsense_is_none() {
        for (microseconds, pid, period) in [
            (Some("30000000"), None, Some(Duration::from_secs(30))),
            (Some("30000000"), Some("7"), Some(Duration::from_secs(30))),
            (Some("30000000"), Some("8"), None),
            (Some("0"), Some("7"), None),
            (Some("soon"), Some("7"), None),
            (None, Some("7"), None),
        ] {
            assert_eq!(watchdog_period(microseconds, pid, 7), period, "{microseconds:?} {pid:?}");
        }
    }

    #[tokio::test]
    async fn full_socket_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify.sock");
        let silent = UnixDatagram::bind(&path).unwrap();
        let socket = Some(connect(path.as_os_str().as_bytes()).unwrap());
        let manager = ServiceManager { socket, watchdog: None, state: Cell::default() };
        for _ in 0..10_000 {
            manager.stopping();
        }
        drop(silent);
        manager.stopping();
    }

    #[test]
    fn abstract_socket_is_reached() {
        let name = format!("coxswain-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        let socket = Some(connect(format!("@{name}").as_bytes()).unwrap());
        ServiceManager { socket, watchdog: None, state: Cell::default() }.stopping();
        let mut bytes = [0; 64];
        let count = listener.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"STOPPING=1\nSTATUS=stopping");
    }
}
