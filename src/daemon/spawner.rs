//! Starts a child process of a role, with the descriptors that the role needs and no other.
//!
//! Invariants: children run the supervisor's own executable; they never get the terminal's signals, because the supervisor
//! decides the order of stopping; the balancer gets no environment that may hold secrets.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::Context;
use command_fds::{CommandFdExt, FdMapping};

use super::balancer_locks::BalancerLock;
use super::child::Child;
use super::datagram_channel::datagram_pair;
use super::listeners::Listeners;
use super::sockets::{
    API, CHANNEL, ENV_COUNT, ENV_FIRST, ENV_NAMES, ENV_THREADS, FIRST_FD, LIVENESS, LOCK, PLANE, STATE,
};
use super::state_dir::StateDir;
use super::telemetry::ENV_FILTER;
use super::{Role, ServeOptions, hand_over, service_manager};
use crate::clock::{Clock, RealClock};
use crate::model::BalancerId;

/// The executable of the process that opens it, which is the supervisor until exec: a package upgrade that replaces the file
/// on disk does not mix versions.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// What the balancer gets of the environment, which may hold secrets.
const BALANCER_ENVIRONMENT: [&str; 3] = [ENV_FILTER, "NO_COLOR", "RUST_BACKTRACE"];

/// Digits of a balancer's id: few run at a time, and one in use is refused.
const BALANCER_ID_DIGITS: usize = 8;

/// Starts children.
#[derive(Debug)]
pub(super) struct ChildSpawner {
    pub(super) options: ServeOptions,
    pub(super) listeners: Listeners,
    /// The API's.
    pub(super) api: RefCell<UnixListener>,
    /// The balancer's way to the controller.
    pub(super) plane: RefCell<UnixListener>,
    pub(super) state: StateDir,
    pub(super) balancer_user: Option<u32>,
}

impl ChildSpawner {
    /// Starts a child. `first`: no child of this role has started successfully yet.
    ///
    /// # Errors
    /// When the process cannot be created. Must run inside a tokio runtime.
    pub(super) fn start(&self, role: Role, first: bool) -> anyhow::Result<Child> {
        let (liveness, childs_liveness) = UnixStream::pair()?;
        liveness.set_nonblocking(true)?;
        let liveness = tokio::net::UnixStream::from_std(liveness)?;
        let (channel, childs_channel) = datagram_pair()?;
        let lock = match role {
            Role::Controller => None,
            Role::Balancer => Some(self.register_balancer()?),
        };
        let mut inherited = self.descriptors(role)?;
        if let Some(lock) = &lock {
            inherited.push((LOCK, lock.descriptor()?));
        }
        inherited.push((LIVENESS, childs_liveness.into()));
        inherited.push((CHANNEL, childs_channel));
        let names: Vec<&str> = inherited.iter().map(|(name, _)| *name).collect();
        let mut command = Command::new(OWN_EXECUTABLE);
        command
            .arg0("ctl")
            .args(arguments(role, &self.options, first, lock.as_ref().map(|lock| &lock.id)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        if role == Role::Balancer {
            self.drop_rights(&mut command);
        }
        command
            .env_remove("LISTEN_PID")
            .env_remove(ENV_FIRST)
            .env_remove(hand_over::ENV_PROCESS)
            .env_remove(service_manager::ENV_SOCKET)
            .env_remove(service_manager::ENV_WATCHDOG)
            .env_remove(service_manager::ENV_WATCHDOG_PID)
            .env(ENV_COUNT, names.len().to_string())
            .env(ENV_NAMES, names.join(":"))
            .env(ENV_THREADS, self.listeners.threads.to_string())
            .fd_mappings(mappings(inherited)?)?;
        let child = Child::spawn(role, command, liveness, channel)?;
        tracing::info!(%role, pid = child.pid, "started");
        if let Some(lock) = lock {
            // The lock counts; the record is for messages, and for ending a balancer that hangs.
            let recorded = lock.record(child.pid);
            let _ =
                recorded.inspect_err(|error| tracing::warn!(%error, "cannot record the balancer's process"));
        }
        Ok(child)
    }

    /// The lock of a new balancer: from now on the controller counts it.
    fn register_balancer(&self) -> anyhow::Result<BalancerLock> {
        let id: String = RealClock::new().uuid().chars().take(BALANCER_ID_DIGITS).collect();
        self.state
            .balancer_locks
            .register(BalancerId::new(id))
            .context("cannot make the balancer's lock file")
    }

    /// Removes what the process that faces the network does not need. As root, std also clears the supplementary groups
    /// (`docker` among them) when it sets the user id.
    fn drop_rights(&self, command: &mut Command) {
        command.env_clear();
        command.envs(BALANCER_ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        if let Some(id) = self.balancer_user {
            command.uid(id).gid(id);
        }
    }

    fn descriptors(&self, role: Role) -> std::io::Result<Vec<(&'static str, OwnedFd)>> {
        Ok(match role {
            Role::Controller => {
                let api = self.api.borrow().try_clone()?;
                let plane = self.plane.borrow().try_clone()?;
                vec![(API, api.into()), (PLANE, plane.into())]
            }
            Role::Balancer => vec![(STATE, self.state.balancer.as_fd().try_clone_to_owned()?)],
        })
    }
}

fn mappings(inherited: Vec<(&str, OwnedFd)>) -> anyhow::Result<Vec<FdMapping>> {
    inherited
        .into_iter()
        .enumerate()
        .map(|(position, (_, parent_fd))| {
            Ok(FdMapping { parent_fd, child_fd: FIRST_FD + RawFd::try_from(position)? })
        })
        .collect()
}

/// The command line of a child: the daemon's own plus its role, which `ps` shows. `--new-store` is passed only until a
/// controller has started: a store that disappears later must not be replaced by an empty one silently.
fn arguments(
    role: Role,
    options: &ServeOptions,
    first: bool,
    balancer_id: Option<&BalancerId>,
) -> Vec<OsString> {
    let ServeOptions {
        state_dir,
        socket,
        http,
        https,
        docker,
        network_pool,
        exposure,
        balancer_host,
        balancer_id: _,
        new_store,
        manifests,
        allow_host_path,
        trusted_proxies,
        max_connections_per_client,
    } = options;
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--role".into(), role.as_str().into()];
    let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    flag("--state-dir", state_dir.into());
    flag("--socket", socket.into());
    for address in http {
        flag("--http", address.to_string().into());
    }
    for address in https {
        flag("--https", address.to_string().into());
    }
    flag("--docker", docker.into());
    flag("--network-pool", network_pool.into());
    if let Some(exposure) = exposure {
        flag("--exposure", exposure.to_string().into());
    }
    if let Some(host) = balancer_host {
        flag("--balancer-host", host.into());
    }
    if let Some(id) = balancer_id {
        flag("--balancer-id", id.as_str().into());
    }
    if let Some(directory) = manifests {
        flag("--manifests", directory.into());
    }
    for path in allow_host_path {
        flag("--allow-host-path", path.into());
    }
    for range in trusted_proxies.ranges() {
        flag("--trusted-proxies", range.to_string().into());
    }
    flag("--max-connections-per-client", max_connections_per_client.to_string().into());
    if *new_store && first {
        arguments.push("--new-store".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TrustedProxies;

    #[test]
    fn child_gets_the_flags_of_the_daemon_and_new_store_only_first() {
        let options = ServeOptions {
            state_dir: "/var/lib/x y".into(),
            socket: "/run/s".into(),
            http: vec!["0.0.0.0:80".parse().unwrap(), "[::]:81".parse().unwrap()],
            https: vec!["0.0.0.0:443".parse().unwrap()],
            docker: "/run/docker.sock".into(),
            network_pool: "10.9.0.0/16".into(),
            exposure: Some(crate::model::ExposureMode::Published),
            balancer_host: Some("harbour.lan".into()),
            balancer_id: None,
            new_store: true,
            manifests: Some("/etc/m".into()),
            allow_host_path: vec!["/srv".into(), "/opt/x".into()],
            trusted_proxies: TrustedProxies::new(["10.0.0.0/8", "fd00::2/128"].map(|r| r.parse().unwrap())),
            max_connections_per_client: 7,
        };
        let first = arguments(Role::Controller, &options, true, None);
        let expected = [
            "serve",
            "--role",
            "controller",
            "--state-dir",
            "/var/lib/x y",
            "--socket",
            "/run/s",
            "--http",
            "0.0.0.0:80",
            "--http",
            "[::]:81",
            "--https",
            "0.0.0.0:443",
            "--docker",
            "/run/docker.sock",
            "--network-pool",
            "10.9.0.0/16",
            "--exposure",
            "published",
            "--balancer-host",
            "harbour.lan",
            "--manifests",
            "/etc/m",
            "--allow-host-path",
            "/srv",
            "--allow-host-path",
            "/opt/x",
            "--trusted-proxies",
            "10.0.0.0/8",
            "--trusted-proxies",
            "fd00::2/128",
            "--max-connections-per-client",
            "7",
            "--new-store",
        ];
        assert_eq!(first, expected);
        assert_eq!(arguments(Role::Controller, &options, false, None), expected[..expected.len() - 1]);
        let balancer = arguments(Role::Balancer, &options, false, Some(&"1a2b3c4d".into()));
        assert_eq!(balancer[2], "balancer");
        assert!(balancer.windows(2).any(|pair| pair == ["--balancer-id", "1a2b3c4d"]), "{balancer:?}");
    }
}
