//! The registry of error codes: what each one means and what to do about it. PURE.
//!
//! Purpose: `ctl explain`, the server and the command line draw on one list.
//! Invariants: a number is never given to another meaning; a code has one exit code. 01xx: reaching the daemon and
//! Docker; 02xx: what the user wrote; 03xx: conflicts; 04xx: rollouts and waiting (042x: classes
//! of failure, which a failed rollout names beside its own code); 05xx: starting the daemon.
//! Deliberately absent: the observations of one case; they are in the [`ApiError`] that a code makes.

use super::types::ApiError;
use crate::model::FailureReason;

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
            log: Vec::new(),
            kept: None,
            class: None,
            now: None,
            next: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// What goes on until its reader leaves was ended by the daemon.
pub fn stream_ended() -> ApiError {
    let why = vec!["the daemon stopped or restarts".to_owned()];
    ApiError { why, next: vec!["ctl status".to_owned()], ..DAEMON_SILENT.error("the daemon ended the watch") }
}

/// Finds a code by its text, in any case, with or without `CTL-`.
pub fn find(text: &str) -> Option<&'static Code> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.strip_prefix("CTL-").unwrap_or(&text);
    ALL.iter().find(|code| code.id.strip_prefix("CTL-") == Some(number))
}

/// The code that explains the class of a failure.
pub fn of_failure(reason: &FailureReason) -> &'static Code {
    match reason {
        FailureReason::DeadlineExceeded { .. } => &NO_PROGRESS,
        FailureReason::ImageNotFound(_) => &IMAGE_NOT_FOUND,
        FailureReason::PullDenied(_) => &PULL_DENIED,
        FailureReason::CannotStart(_) => &CANNOT_START,
        FailureReason::CrashLoop(_) => &CRASH_LOOP,
        FailureReason::OutOfMemory(_) => &OUT_OF_MEMORY,
        FailureReason::BadAnswer(_) => &BAD_ANSWER,
        FailureReason::WrongPort(_) => &WRONG_PORT,
        FailureReason::NeverHealthy(_) => &NEVER_HEALTHY,
        FailureReason::Aborted { .. } => &ABORTED,
    }
}

/// Whether a text is meant as a code, known or not.
pub fn is_code(text: &str) -> bool {
    let number = text.get(4..).filter(|_| text[..4].eq_ignore_ascii_case("CTL-")).unwrap_or(text);
    !text.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
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
         may use this socket may run any container on the node.";
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
        "There is no Docker socket and no dockerd on the node of the daemon.",
        "Install Docker Engine, or name its socket with `ctl serve --docker PATH`.";
    /// Docker does not run.
    DOCKER_STOPPED = "CTL-0112", 3, "Docker is not running",
        "The Docker Engine does not listen on its socket. Traffic to running containers is not affected, but for published \
         ports, which end with a rootless Engine. Nothing is changed, and no deadline runs until it is back.",
        "Start it, for instance with `systemctl start docker`; a rootless one with `systemctl --user start docker`.";
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
        "Check the spelling with `docker pull IMAGE` on the daemon's node; for a private registry, `docker login` \
         there as the daemon's user.";
    /// Another service holds the route.
    ROUTE_TAKEN = "CTL-0204", 2, "another service has this route",
        "A node and path lead to one service. The message names the one that holds them. Nothing was changed.",
        "Choose another node or path, or take the route out of the other service first.";
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
    /// The rollout does not stand as the command needs it.
    NOT_NOW = "CTL-0207", 2, "the rollout does not stand like this",
        "Only a rollout that is under way can be paused, only a paused one resumed. One that is under way or failed can \
         be aborted where an earlier revision completed. A restart needs a service at rest on the release that it asks \
         for, and `--retry` one whose release failed or was aborted. Nothing was changed.",
        "`ctl rollout status SERVICE` shows where it stands, `ctl history SERVICE` what became of each revision.";
    /// The image of a revision is gone.
    IMAGE_GONE = "CTL-0208", 2, "the image of the revision is gone",
        "The revision to go back to needs an image that is neither on the Engine nor, where it may be pulled, in its \
         registry. The images of kept revisions are protected by a tag of ours; this one was removed by hand. Nothing \
         was changed.",
        "Build or load that very image again (its digest or id is what counts, not its tag), or choose another revision: \
         `ctl history SERVICE` lists them.";
    /// A volume that should go with its service is another's as well.
    VOLUME_SHARED = "CTL-0209", 2, "another service uses this volume",
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
        "Between reading the object and writing it, somebody else wrote it; both versions are named. Nothing was changed \
         by this command, but for what it says.",
        "Look at it with `ctl get SERVICE -o yaml` and try again.";
    /// A file changed what a command had changed.
    OVERRIDDEN = "CTL-0303", 7, "a field was changed by a command and in the manifest",
        "`scale`, `rollout --image` and `undo` change a service beside its manifest: an override. A manifest that leaves such \
         a field as it was keeps the override. This one changes the field too, to something else: ctl does not guess \
         which of the two is meant. Nothing was changed.",
        "Apply again with `--keep FIELD` for the live value, or with `--overwrite FIELD` for the manifest's; or write the \
         live value into the manifest. `ctl diff -f FILE` shows both.";
    /// A rollout failed and stays as it is.
    ROLLOUT_FAILED = "CTL-0411", 5, "the rollout failed and was not rolled back",
        "The new revision cannot get healthy, or did not in time; the class of the failure has a code of its own. It was not \
         undone: there is no earlier revision, the policy \
         says `onFailure: pause`, or going back failed too. What exists is kept and keeps trying.",
        "`ctl events SERVICE` and `ctl logs SERVICE` show why. Apply a correction, try again with `ctl rollout SERVICE \
         --retry`, or go back with `ctl abort SERVICE`.";
    /// A rollout failed and was undone.
    ROLLED_BACK = "CTL-0412", 4, "the rollout failed and was rolled back",
        "The new revision cannot get healthy, or did not in time, so the service went back to the last revision whose rollout \
         completed; the class of the failure has a code of its own. No healthy replica of that revision was stopped. The \
         container at fault is kept, stopped, until a release succeeds. ApplyOptions the same again tells the same; only \
         another release or `--retry` tries again.",
        "`ctl logs SERVICE --revision N` and `ctl events SERVICE` show what was seen. Correct it and apply, or try the same \
         again with `ctl rollout SERVICE --retry`.";
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
    /// The machine does not have the memory.
    CANNOT_PLACE = "CTL-0416", 8, "no node has the memory",
        "Replicas reserve memory (`resources: {memory: 256Mi}`), and all reservations together are more than the node \
         has. Nothing was changed: a node that is short of memory would end containers at random. What a rollout starts \
         beside the old ones for a while (`maxSurge`) is not counted: leave room for it.",
        "Ask for fewer replicas or less memory, or make room: `ctl get` lists the services.";
    /// The rollout that was waited for was aborted.
    ABORTED = "CTL-0417", 4, "the rollout was aborted",
        "Somebody ended the rollout with `ctl abort`, so the service went back to the last revision whose rollout \
         completed. The spec still asks for what was aborted; only another write tries it again.",
        "`ctl rollout SERVICE --retry` tries it again; `ctl undo SERVICE --to N` makes what runs the release that is \
         asked for.";
    /// The balancer cannot take the routing table.
    TABLE_REFUSED = "CTL-0418", 6, "the balancer cannot take the routing table",
        "The balancer could not put the last routing table in place, so nothing that waits for it moves: most often the \
         disk of the state directory is full. It serves on from what it has and tries again every second. The operation \
         belongs to the daemon and continues once the table is in place.",
        "`ctl status` names the reason. Mend it, then `ctl rollout SERVICE` waits on.";
    /// `ctl verify` saw requests fail.
    REQUESTS_FAILED = "CTL-0419", 1, "requests failed while the service was verified",
        "`ctl verify` counts a request as failed when there is no connection, no whole answer in time, or an answer with a \
         status of 400 or more. Each kind of failure is named with its count and the step in which it happened. Where \
         requests failed before anything was done, nothing was done.",
        "Failures before the first step: choose a path that answers well with --path. Failures in a rolling restart or an \
         undo: requests that take longer than `rollout.drain` are cut, and so are those of a service that calls itself healthy \
         before it can answer. See `ctl events SERVICE`.";
    /// Class of a failed rollout.
    IMAGE_NOT_FOUND = "CTL-0421", 4, "an image is not to be had",
        "A node does not have the image of the release, and nobody else has it: it was removed from the registry or the \
         node since it was resolved, or `pull: never` forbids to ask. The rollout failed at once. Where it was not \
         rolled back the exit is 5, as for every class of failure.",
        "Push or build the image again under a tag, then `ctl rollout SERVICE --image TAG`.";
    /// Class of a failed rollout.
    PULL_DENIED = "CTL-0422", 4, "the registry refuses an image",
        "The registry wants credentials for the image, or refuses those of the daemon's user. The rollout failed at once.",
        "`docker login` on the node as the daemon's user, then apply or roll out again.";
    /// Class of a failed rollout.
    CANNOT_START = "CTL-0423", 4, "a container cannot be started",
        "Docker refused to make or start the container, three times within `startWithin`: a command that does not exist, \
         a user, limit or capability that it does not know. The message is Docker's.",
        "Correct `command`, `entrypoint`, `security` or `resources` as the message says, then apply again.";
    /// Class of a failed rollout.
    CRASH_LOOP = "CTL-0424", 4, "a container ends again and again",
        "A container of the new release ended by itself, three times within `startWithin`. Its last lines are shown; the \
         last container is kept, stopped, until the next release succeeds.",
        "`ctl logs SERVICE --revision N` shows its log, `docker inspect` the container. Correct it, then apply again.";
    /// Class of a failed rollout.
    OUT_OF_MEMORY = "CTL-0425", 4, "a container uses more memory than it may",
        "The kernel ended a container of the new release because it used more than `resources.memory`, three times within \
         `startWithin`.",
        "Raise `resources: {memory: …}` or let the service use less, then apply again.";
    /// Class of a failed rollout.
    BAD_ANSWER = "CTL-0426", 4, "the health check answers, and not well",
        "The service runs and answers its health check with a status outside of 200 to 399, for all of `startWithin` or \
         until the rollout's deadline. The first line of its last answer is shown.",
        "See why the service says so: `ctl logs SERVICE --revision N`. If it only needs longer, raise `startWithin`.";
    /// Class of a failed rollout.
    WRONG_PORT = "CTL-0427", 4, "nothing listens on the port of the health check",
        "The container runs, and connecting to the port of its health check is refused, or cut off by the proxy of a \
         published port. Where it can be seen, the ports that do listen in the container are named. One that listens \
         on 127.0.0.1 only cannot be reached from outside of the container.",
        "Correct `port` in the manifest, or let the service listen on that port of every address (0.0.0.0).";
    /// Class of a failed rollout.
    NEVER_HEALTHY = "CTL-0428", 4, "the health check never passed",
        "The container runs, and its health check had no usable answer for all of `startWithin` or until the rollout's \
         deadline: none in time, or none that is HTTP.",
        "Raise `health.timeout` or `startWithin` if the service is slow; check that path and protocol are right.";
    /// Class of a failed rollout.
    NO_PROGRESS = "CTL-0429", 4, "a rollout made no progress",
        "For the whole of `rollout.deadline` no further replica of the new release became available, for none of the \
         reasons that have a code of their own.",
        "The lines under *why* say what each replica waits for; `ctl status` says what holds the daemon up.";
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
        "The store is new, and the node runs containers that an earlier store of this state directory made. A new \
         store would start everything a second time.",
        "Put the earlier store back, or start with --new-store to leave those containers alone for good.";
    /// The daemon could not start for another reason.
    SERVE_FAILED = "CTL-0505", 2, "the daemon could not start",
        "Something that the daemon needs was not there or did not work; the message says what.",
        "Correct what the message names and start it again.";
}

#[cfg(test)]
mod tests {
    use super::super::exits::EXITS;
    use super::*;

    #[test]
    fn numbers_rise_and_are_well_formed() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        for code in ALL {
            let number = code.id.strip_prefix("CTL-").expect("prefix");
            assert!(number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()), "{}", code.id);
            assert!(code.exit > 0 && EXITS.iter().any(|(exit, _)| *exit == code.exit), "{}", code.id);
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
