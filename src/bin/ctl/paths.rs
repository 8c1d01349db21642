//! Default paths of the daemon's socket, its state directory and Docker's socket.

use std::path::PathBuf;

/// The environment variables that paths depend on, read once so that the rules below are pure functions.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) root: bool,
    pub(crate) ctl_socket: Option<PathBuf>,
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) state_home: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) docker_host: Option<String>,
}

const ROOT_SOCKET: &str = "/run/coxswain/ctl.sock";
const ROOT_STATE: &str = "/var/lib/coxswain";
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

impl Environment {
    /// An empty variable counts as unset.
    pub(crate) fn of_process() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            root: nix::unistd::geteuid().is_root(),
            ctl_socket: path("CTL_SOCKET"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            docker_host: std::env::var("DOCKER_HOST").ok().filter(|value| !value.is_empty()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        match (&self.ctl_socket, &self.runtime_dir) {
            (Some(socket), _) => socket.clone(),
            (None, _) if self.root => PathBuf::from(ROOT_SOCKET),
            (None, Some(runtime)) => runtime.join("coxswain/ctl.sock"),
            (None, None) => self.state_dir().join("ctl.sock"),
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        match (&self.state_home, &self.home) {
            _ if self.root => PathBuf::from(ROOT_STATE),
            (Some(state), _) => state.join("coxswain"),
            (None, Some(home)) => home.join(".local/state/coxswain"),
            (None, None) => PathBuf::from(ROOT_STATE),
        }
    }

    /// Rejects a `DOCKER_HOST` that is not a unix socket.
    pub(crate) fn docker(&self) -> Result<PathBuf, String> {
        match &self.docker_host {
            None => Ok(PathBuf::from(DOCKER_SOCKET)),
            Some(host) => host
                .strip_prefix("unix://")
                .map(PathBuf::from)
                .ok_or_else(|| format!("DOCKER_HOST is {host}; only unix:// is supported")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Environment {
        Environment { home: Some("/home/ann".into()), ..Environment::default() }
    }

    #[test]
    fn paths_of_root_are_system_paths() {
        let root = Environment { root: true, ..user() };
        assert_eq!(root.socket(), PathBuf::from("/run/coxswain/ctl.sock"));
        assert_eq!(root.state_dir(), PathBuf::from("/var/lib/coxswain"));
    }

    #[test]
    fn paths_of_a_user_follow_xdg() {
        let runtime = Environment { runtime_dir: Some("/run/user/7".into()), ..user() };
        assert_eq!(runtime.socket(), PathBuf::from("/run/user/7/coxswain/ctl.sock"));
        assert_eq!(user().socket(), PathBuf::from("/home/ann/.local/state/coxswain/ctl.sock"));
        let state = Environment { state_home: Some("/s".into()), ..user() };
        assert_eq!(state.state_dir(), PathBuf::from("/s/coxswain"));
    }

    #[test]
    fn socket_prefers_ctl_socket_even_for_root() {
        let set = Environment { root: true, ctl_socket: Some("/tmp/x".into()), ..user() };
        assert_eq!(set.socket(), PathBuf::from("/tmp/x"));
    }

    #[test]
    fn docker_accepts_unix_sockets_only() {
        let with = |host: &str| Environment { docker_host: Some(host.to_owned()), ..user() }.docker();
        assert_eq!(user().docker(), Ok("/var/run/docker.sock".into()));
        assert_eq!(with("unix:///run/d.sock"), Ok("/run/d.sock".into()));
        assert!(with("tcp://elk:2375").expect_err("tcp").contains("tcp://elk:2375"));
    }
}
