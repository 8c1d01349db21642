//! The registry of error codes: what each one means and what to do about it. PURE.
//!
//! Purpose: `ctl explain`, the server and the command line draw on one list.
//! Invariants: a number is never given to another meaning; a code has one exit code. 01xx: reaching the daemon and
//! Docker; 02xx: what the user wrote; 03xx: conflicts; 04xx: rollouts and waiting; 05xx: starting the daemon.
//! Deliberately absent: the observations of one case; they are in the [`ApiError`] that a code makes.

use super::types::ApiError;

/// One entry of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `CTL-0412`.
    pub id: &'static str,
    /// What `ctl` ends with.
    pub exit: u8,
    /// One line, without a full stop.
    pub title: &'static str,
    /// What it means, in full sentences.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Code {
    /// An error of this code that says what was not done; the other fields are filled by struct update.
    pub fn error(&self, what: impl Into<String>) -> ApiError {
        ApiError {
            code: self.id.to_owned(),
            exit: self.exit,
            what: what.into(),
            why: Vec::new(),
            now: None,
            next: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// Finds a code by its text, in any case, with or without `CTL-`.
pub fn find(text: &str) -> Option<&'static Code> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.strip_prefix("CTL-").unwrap_or(&text);
    ALL.iter().find(|code| code.id.strip_prefix("CTL-") == Some(number))
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $exit:literal, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $name: Code =
                Code { id: $id, exit: $exit, title: $title, meaning: $meaning, remedy: $remedy };
        )*

        /// Every code, in the order of the numbers.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// Nothing listens on the daemon's socket.
    DAEMON_NOT_RUNNING = "CTL-0101", 3, "the daemon is not running",
        "Nothing listens on the daemon's socket: the socket does not exist, or its daemon has ended. Containers that \
         were running keep running.",
        "Start it with `ctl serve`. If it runs with another socket, name that with --socket or CTL_SOCKET.";
    /// The user may not open the daemon's socket.
    SOCKET_DENIED = "CTL-0102", 3, "no permission to use the daemon's socket",
        "The daemon's socket exists, and this user may not open it.",
        "Run ctl as the user that runs the daemon, or ask for membership of the group that owns the socket. Whoever \
         may use this socket may run any container on the host.";
    /// The daemon was reached and did not answer, or not in its protocol.
    DAEMON_SILENT = "CTL-0103", 3, "the daemon did not answer",
        "The connection was accepted, and no usable answer came in time, or it ended too early. A write may have \
         happened: it carries an id, so that repeating the command does no harm.",
        "Look at the output of `ctl serve` and try again. If the versions of ctl and the daemon differ (`ctl \
         version`), restart the daemon.";
    /// The daemon cannot read or write its store.
    STORE_FAILED = "CTL-0104", 3, "the daemon cannot use its store",
        "The daemon was reached, and its store could not be read or written: the disk is full or failing, or an object \
         in it cannot be understood. A write may have happened: it carries an id, so that repeating the command does no \
         harm. Traffic and running containers are not affected.",
        "Look at the output of `ctl serve` and at the disk of the state directory, then try again.";
    /// There is no Docker on the host.
    DOCKER_MISSING = "CTL-0111", 3, "Docker is not installed",
        "There is no Docker socket and no dockerd on the host of the daemon.",
        "Install Docker Engine, or name its socket with `ctl serve --docker PATH`.";
    /// Docker does not run.
    DOCKER_STOPPED = "CTL-0112", 3, "Docker is not running",
        "The Docker Engine does not listen on its socket. Traffic to running containers is not affected, nothing is \
         changed, and no deadline runs until it is back.",
        "Start it, for instance with `systemctl start docker`.";
    /// The daemon may not use Docker.
    DOCKER_DENIED = "CTL-0113", 3, "no permission to use Docker",
        "The daemon's user may not open Docker's socket.",
        "Run `ctl serve` as root or as a member of the group that owns Docker's socket.";
    /// Docker answered, and not with what was asked for.
    DOCKER_REFUSED = "CTL-0114", 3, "Docker did not do what was asked",
        "The Docker Engine answered with an error of its own; the message is in its words.",
        "Look at the log of the Docker Engine, for instance with `journalctl -u docker`.";
    /// A document is not a valid manifest.
    INVALID_MANIFEST = "CTL-0201", 2, "invalid manifest",
        "At least one document has a problem. All problems of the run are shown, and nothing was changed.",
        "Correct what the messages point to. `ctl validate -f FILE` checks without a daemon.";
    /// The named object does not exist.
    NOT_FOUND = "CTL-0202", 2, "no such object",
        "The service, replica or revision that was named does not exist. Nothing was changed.",
        "`ctl get` lists the services, `ctl get replicas` their replicas.";
    /// An image reference cannot be resolved.
    IMAGE_UNRESOLVED = "CTL-0203", 2, "the image cannot be resolved",
        "The Engine has no image of that name, and it cannot be had from a registry (unknown name or tag, missing \
         credentials, or the registry is away). Nothing was changed.",
        "Check the spelling with `docker pull IMAGE` on the daemon's host; for a private registry, `docker login` \
         there as the daemon's user.";
    /// Another service holds the route.
    ROUTE_TAKEN = "CTL-0204", 2, "another service has this route",
        "A host and path lead to one service. The message names the one that holds them. Nothing was changed.",
        "Choose another host or path, or take the route out of the other service first.";
    /// The command was not used as it is meant to be.
    USAGE = "CTL-0205", 2, "the command cannot be used like this",
        "The arguments do not fit together, or a confirmation is needed and there is no terminal to ask on. Nothing \
         was changed.",
        "`ctl help COMMAND` shows the arguments.";
    /// A manifest cannot be read.
    FILE_UNREADABLE = "CTL-0206", 2, "a file cannot be read",
        "A file or directory given with -f does not exist, cannot be read, is too large, or holds no manifest. \
         Nothing was changed.",
        "Check the path. A directory is read for *.yaml, *.yml and *.json, without its subdirectories unless -R is \
         given.";
    /// A volume that should go with its service is another's as well.
    VOLUME_SHARED = "CTL-0207", 2, "another service uses this volume",
        "Services of one app that name the same volume share it, and `ctl delete --volumes` never takes a volume from a \
         service that stays. Nothing was changed.",
        "Delete the service without --volumes, or delete both services with it.";
    /// The name belongs to another app or source.
    OTHER_OWNER = "CTL-0301", 7, "the name belongs to another app or source",
        "Names of services are unique. A service of this name exists under another app, and an app cannot be \
         changed; or it is declared in the manifests directory of the daemon, and only that applies or deletes it; or \
         the other way round. Nothing was changed.",
        "Choose another name, apply with the app of the existing service, edit the file in the manifests directory, or \
         delete the other service first.";
    /// The object changed while the command ran.
    CHANGED_MEANWHILE = "CTL-0302", 7, "someone changed the object meanwhile",
        "Between reading the object and writing it, somebody else wrote it. Nothing was changed by this command.",
        "Look at it with `ctl get SERVICE -o yaml` and try again.";
    /// A rollout failed and stays as it is.
    ROLLOUT_FAILED = "CTL-0411", 5, "the rollout failed and was not rolled back",
        "The new revision did not become ready in time. It was not undone: there is no earlier revision, the policy \
         says `onFailure: pause`, or going back failed too. What exists is kept and keeps trying.",
        "`ctl events SERVICE` and `ctl logs SERVICE` show why. Apply a correction, or go back with `ctl undo SERVICE`.";
    /// A rollout failed and was undone.
    ROLLED_BACK = "CTL-0412", 4, "the rollout failed and was rolled back",
        "The new revision did not become ready in time, so the service went back to the last revision whose rollout \
         completed. Only another write tries again.",
        "`ctl events SERVICE` shows what was seen. Correct it, then apply or roll out again.";
    /// The waiting ended before the operation did.
    TIMED_OUT = "CTL-0413", 6, "timed out waiting",
        "What was waited for did not happen within --timeout. The operation belongs to the daemon and continues.",
        "`ctl rollout SERVICE` waits on; `ctl get SERVICE` shows where it stands.";
    /// A later write took the place of the one that was waited for.
    SUPERSEDED = "CTL-0414", 7, "a later change took its place",
        "While this command waited, the service was written again; the later write is the one that counts.",
        "`ctl rollout SERVICE` follows the later one.";
    /// What was waited for cannot happen any more.
    NEVER = "CTL-0415", 1, "this cannot come true any more",
        "What `ctl wait` was asked for can no longer happen: the service is gone or being deleted, or the revision \
         failed or was passed over.",
        "`ctl get SERVICE` shows where the service stands.";
    /// Two daemons on one state directory.
    STATE_DIR_IN_USE = "CTL-0501", 2, "the state directory is in use",
        "Another daemon holds the lock of the state directory. Two daemons never share one.",
        "Stop the other, or give this one its own directory with --state-dir.";
    /// The store cannot be trusted.
    STORE_DAMAGED = "CTL-0502", 2, "the store is damaged",
        "The store's file is damaged, was taken away, or was written by a later version. It is never taken for an \
         empty one. Containers keep running.",
        "Restore the state directory from a backup, or run the version of ctl that wrote it.";
    /// An address that the daemon should listen on is taken.
    PORT_IN_USE = "CTL-0503", 2, "an address is in use",
        "Another process listens on an address that the daemon should serve.",
        "Stop that process, or choose another address with --http.";
    /// The host runs containers of an earlier store of this instance.
    FOREIGN_STORE = "CTL-0504", 2, "containers of another store are running",
        "The store is new, and the host runs containers that an earlier store of this state directory made. A new \
         store would start everything a second time.",
        "Put the earlier store back, or start with --new-store to leave those containers alone for good.";
    /// The daemon could not start for another reason.
    SERVE_FAILED = "CTL-0505", 2, "the daemon could not start",
        "Something that the daemon needs was not there or did not work; the message says what.",
        "Correct what the message names and start it again.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_are_well_formed() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        for code in ALL {
            let number = code.id.strip_prefix("CTL-").expect("prefix");
            assert!(number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()), "{}", code.id);
            assert!([1, 2, 3, 4, 5, 6, 7, 8].contains(&code.exit), "{}", code.id);
            assert!(!code.title.ends_with('.') && code.meaning.ends_with('.') && code.remedy.ends_with('.'));
        }
    }

    #[test]
    fn codes_are_found_however_they_are_typed() {
        for text in ["CTL-0412", "ctl-0412", "0412", " 0412 "] {
            assert_eq!(find(text), Some(&ROLLED_BACK), "{text}");
        }
        for text in ["", "CTL-", "CTL-9999", "412"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
