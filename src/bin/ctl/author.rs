//! The user who runs a command. The daemon records the name with each change.

use std::path::Path;

use crate::account_files::name_of_id;

/// Inputs for the user's name, read once so that the rule below is a pure function.
#[derive(Debug, Default)]
pub(crate) struct UserIdentity {
    uid: u32,
    sudo_user: Option<String>,
    passwd: String,
}

impl UserIdentity {
    /// Reads `/etc/passwd` directly: a static binary cannot use NSS.
    pub(crate) fn of_process() -> Self {
        Self {
            uid: nix::unistd::getuid().as_raw(),
            sudo_user: std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()),
            passwd: std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default(),
        }
    }

    /// The user's name. Under sudo, the user who called sudo. Without a passwd entry, the uid.
    pub(crate) fn user(&self) -> String {
        if let Some(name) = self.sudo_user.as_ref().filter(|_| self.uid == 0) {
            return name.clone();
        }
        match name_of_id(&self.passwd, self.uid) {
            Some(name) => name.to_owned(),
            None => format!("uid {}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_prefers_sudo_user_then_passwd_then_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nodd\n".to_owned();
        let user_of = |uid, sudo_user: Option<&str>| {
            UserIdentity { uid, sudo_user: sudo_user.map(str::to_owned), passwd: passwd.clone() }.user()
        };
        assert_eq!(user_of(0, None), "root");
        assert_eq!(user_of(1000, None), "ann");
        assert_eq!(user_of(7, None), "uid 7");
        assert_eq!(user_of(0, Some("ann")), "ann", "sudo");
        assert_eq!(user_of(1000, Some("bob")), "ann", "SUDO_USER counts only for root");
    }
}
