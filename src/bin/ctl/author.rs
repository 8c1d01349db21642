//! Who gives a command: told to the daemon for the record.

use std::path::Path;

/// What says who one is; read once, so that the rule is a function of it.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    uid: u32,
    sudo_user: Option<String>,
    passwd: String,
}

impl Identity {
    /// That of this process. Names are looked up in the file: a static binary has no other way.
    pub(crate) fn of_process() -> Self {
        Self {
            uid: nix::unistd::getuid().as_raw(),
            sudo_user: std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()),
            passwd: std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default(),
        }
    }

    /// The name of the user; of whoever became root with sudo, the one they had before; a number where it has no name.
    pub(crate) fn user(&self) -> String {
        if let Some(name) = self.sudo_user.as_ref().filter(|_| self.uid == 0) {
            return name.clone();
        }
        let uid = self.uid.to_string();
        let named = self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        });
        named.unwrap_or_else(|| format!("uid {uid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nodd\n".to_owned();
        let of = |uid, sudo_user: Option<&str>| {
            Identity { uid, sudo_user: sudo_user.map(str::to_owned), passwd: passwd.clone() }.user()
        };
        assert_eq!(of(0, None), "root");
        assert_eq!(of(1000, None), "ann");
        assert_eq!(of(7, None), "uid 7");
        assert_eq!(of(0, Some("ann")), "ann", "sudo");
        assert_eq!(of(1000, Some("bob")), "ann", "only root can have come by sudo");
    }
}
