//! Which paths of the node containers may mount. Pure.
//!
//! Paths are compared as text; the agent resolves symbolic links before it asks.

use std::path::{Path, PathBuf};

/// What `ctl serve --allow-host-path` allows, and what it does not allow by naming a directory above.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPathPolicy {
    /// A container may mount these, and what is below them.
    pub allowed: Vec<PathBuf>,
    /// The daemon's own directories and Docker's socket: a process that can write them controls the node. Each has to be
    /// allowed by its own path, or by one below it.
    pub protected: Vec<PathBuf>,
}

impl HostPathPolicy {
    /// Why a path may not be mounted.
    ///
    /// # Errors
    /// A message without the path.
    pub fn check(&self, path: &Path) -> Result<(), String> {
        let is_allowed = |allowed: &PathBuf| path.starts_with(allowed);
        if !self.allowed.iter().any(is_allowed) {
            let listed: Vec<String> = self.allowed.iter().map(|path| path.display().to_string()).collect();
            return Err(match listed.as_slice() {
                [] => "`ctl serve` allows no paths of the node; start it with `--allow-host-path DIR`"
                    .to_owned(),
                listed => format!(
                    "`ctl serve` allows only what is below {}; start it with another `--allow-host-path DIR`",
                    listed.join(", ")
                ),
            });
        }
        let touches = |protected: &&PathBuf| path.starts_with(protected) || protected.starts_with(path);
        let is_named = |protected: &Path| {
            let within = |allowed: &PathBuf| allowed.starts_with(protected) && path.starts_with(allowed);
            self.allowed.iter().any(within)
        };
        match self.protected.iter().find(|protected| touches(protected) && !is_named(protected)) {
            Some(protected) => Err(format!(
                "it would give access to {}, which belongs to the daemon or to Docker; `--allow-host-path` has to name that \
                 path itself",
                protected.display()
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_allows_only_what_is_below_an_allowed_path_and_not_protected() {
        let policy = |allowed: &[&str]| HostPathPolicy {
            allowed: allowed.iter().map(PathBuf::from).collect(),
            protected: vec!["/var/lib/coxswain".into(), "/run/docker.sock".into()],
        };
        for (allowed, path, said) in [
            (&[][..], "/srv/x", Some("allows no paths")),
            (&["/srv"], "/srv", None),
            (&["/srv"], "/srv/x/y", None),
            (&["/srv"], "/srvx", Some("allows only what is below /srv;")),
            (&["/srv", "/opt"], "/etc", Some("below /srv, /opt;")),
            (&["/var"], "/var/lib/other", None),
            (&["/var"], "/var/lib/coxswain/store.redb", Some("/var/lib/coxswain, which belongs")),
            (&["/var"], "/var/lib", Some("/var/lib/coxswain, which belongs")),
            (&["/"], "/", Some("which belongs")),
            (&["/run"], "/run/docker.sock", Some("/run/docker.sock, which belongs")),
            (&["/run/docker.sock"], "/run/docker.sock", None),
            (&["/var/lib/coxswain"], "/var/lib/coxswain/backups", None),
            (&["/var/lib/coxswain/backups"], "/var/lib/coxswain/backups", None),
            (&["/var/lib/coxswain/backups"], "/var/lib/coxswain", Some("allows only")),
        ] {
            let found = policy(allowed).check(Path::new(path)).err();
            match said {
                None => assert_eq!(found, None, "{allowed:?} {path}"),
                Some(said) => assert!(found.as_ref().is_some_and(|f| f.contains(said)), "{path}: {found:?}"),
            }
        }
    }
}
