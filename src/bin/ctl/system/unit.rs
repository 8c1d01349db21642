//! The text of the systemd unit and of the file with the daemon's options. Pure.

use std::path::Path;

/// The unit's name.
pub(crate) const UNIT: &str = "coxswain.service";
/// Its text, with a place for the executable.
const TEMPLATE: &str = include_str!("coxswain.service");
const PLACE: &str = "@EXECUTABLE@";
/// Options of the daemon: an administrator's file, which an install never replaces.
pub(crate) const OPTIONS_FILE: &str = include_str!("coxswain.default");
/// Beginning of every unit that was written by an install or a package, whatever its version.
const MARKER: &str = "# Unit of the Coxswain daemon.";

/// The unit that runs this executable.
pub(crate) fn unit(executable: &Path) -> String {
    TEMPLATE.replace(PLACE, &quoted(executable))
}

/// Whether a unit file was written by an install of any version.
pub(crate) fn is_ours(text: &str) -> bool {
    text.starts_with(MARKER)
}

/// A path as systemd reads it: `%` and `$` are not special, blanks do not end it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%").replace('$', "$$");
    if text.contains([' ', '"', '\'', '\\']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

/// The first line that differs, for a message.
pub(crate) fn first_difference(found: &str, wanted: &str) -> String {
    let mut lines = found.lines().zip(wanted.lines()).enumerate();
    match lines.find(|(_, (found, wanted))| found != wanted) {
        Some((number, (found, wanted))) => {
            format!("line {}: `{found}`, where this version writes `{wanted}`", number + 1)
        }
        None if found.lines().count() > wanted.lines().count() => "it has more lines at its end".to_owned(),
        None => "it ends earlier".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Key and value of each setting.
    fn settings(text: &str) -> BTreeMap<&str, &str> {
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
    }

    #[test]
    fn unit_notifies_restarts_and_is_hardened() {
        let text = unit(Path::new("/usr/bin/ctl"));
        let settings = settings(&text);
        for (key, value) in [
            ("Type", "notify"),
            ("ExecStart", "/usr/bin/ctl serve $CTL_SERVE_OPTIONS"),
            ("ExecReload", "/usr/bin/ctl reload --pid $MAINPID"),
            ("Restart", "always"),
            ("KillMode", "mixed"),
            ("WatchdogSec", "30s"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("Group", "coxswain"),
            ("WantedBy", "multi-user.target"),
        ] {
            assert_eq!(settings.get(key), Some(&value), "{key}");
        }
        assert!(!text.contains(PLACE));
        assert!(is_ours(&text) && !is_ours("[Unit]\n"));
    }

    #[test]
    fn executable_with_special_characters_is_quoted() {
        for (path, line) in [
            ("/opt/my tools/ctl", "ExecStart=\"/opt/my tools/ctl\" serve"),
            ("/opt/100%/ctl", "ExecStart=/opt/100%%/ctl serve"),
            ("/opt/$x/ctl", "ExecStart=/opt/$$x/ctl serve"),
        ] {
            assert!(unit(Path::new(path)).contains(line), "{path}");
        }
    }

    #[test]
    fn first_difference_names_line_and_both_texts() {
        assert_eq!(first_difference("a\nb", "a\nc"), "line 2: `b`, where this version writes `c`");
        assert_eq!(first_difference("a\nb\nc", "a\nb"), "it has more lines at its end");
        assert_eq!(first_difference("a", "a\nb"), "it ends earlier");
    }
}
