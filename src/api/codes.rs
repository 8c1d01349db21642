//! The registry of error codes with their meaning and remedy, used by `ctl explain`, the server and the docs. Pure.
//!
//! Invariants: a number is never reused for another meaning; a code has one exit code. 01xx: reaching the daemon and
//! Docker; 02xx: user input; 03xx: conflicts; 04xx: rollouts and waiting (042x and 043x: causes of a failed rollout, given in
//! addition to its own code); 05xx: starting the daemon; 06xx: installing it as a service.
//! Deliberately absent: the observations of one case, which are in the [`ApiError`].

use super::code::codes;
pub use super::code::{Code, is_code};
use super::daemon_codes;
pub use super::daemon_codes::{
    BAD_SNAPSHOT, FOREIGN_STORE, INSTALL_FAILED, NEEDS_ROOT, PORT_IN_USE, RELOAD_FAILED, RELOAD_NOT_NOW,
    RELOAD_REFUSED, SERVE_FAILED, STATE_DIR_COPIED, STATE_DIR_IN_USE, STORE_DAMAGED, SUPERVISOR_SILENT,
    UNIT_DIFFERS,
};
use super::types::{ApiError, ErrorDetail};

/// The daemon ended a stream that only the client should end.
pub fn stream_ended() -> ApiError {
    let why = vec!["the daemon stopped or restarted".to_owned()];
    let next = vec!["ctl status".to_owned()];
    ErrorDetail { why, next, ..DAEMON_SILENT.detail("the daemon ended the watch") }.into()
}

/// Every code, in the order of the numbers.
pub fn all() -> impl Iterator<Item = &'static Code> {
    REQUEST_CODES.iter().chain(daemon_codes::DAEMON_CODES)
}

/// Finds a code by its text, in any case, with or without `CTL-`.
pub fn find(text: &str) -> Option<&'static Code> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.strip_prefix("CTL-").unwrap_or(&text);
    all().find(|code| code.id.strip_prefix("CTL-") == Some(number))
}

codes! { REQUEST_CODES
    /// Nothing listens on the daemon's socket.
    DAEMON_NOT_RUNNING = "CTL-0101", 3, "the daemon is not running",
        "Nothing listens on the daemon's socket: it does not exist, or its daemon has stopped. Containers keep running.",
        "Start it with `ctl serve`. If it uses another socket, pass --socket or set CTL_SOCKET.";
    /// The user may not open the daemon's socket.
    SOCKET_DENIED = "CTL-0102", 3, "permission denied on the daemon's socket",
        "The daemon's socket exists, but this user may not open it.",
        "Run ctl as the user that runs the daemon, or join the group that owns the socket. Access to this socket allows \
         running any container on the node.";
    /// The daemon sent no valid answer.
    DAEMON_SILENT = "CTL-0103", 3, "the daemon did not answer",
        "The daemon did not send a complete, valid answer in time. A write may have happened; repeating it is safe.",
        "Check the output of `ctl serve` and try again. If the versions of ctl and the daemon differ (`ctl version`), \
         restart the daemon.";
    /// The daemon cannot read or write its store.
    STORE_FAILED = "CTL-0104", 3, "the daemon cannot use its store",
        "The daemon cannot read or write its store: the disk is full or failing, or a stored object cannot be decoded. A write may \
         have happened; repeating it is safe. Traffic and running containers are not affected.",
        "Check the output of `ctl serve` and the disk of the state directory, then try again.";
    /// The daemon runs without its store.
    STORE_UNAVAILABLE = "CTL-0105", 3, "the daemon cannot use its store",
        "The store cannot be opened, or is not the one that the running containers belong to. The balancer serves its last \
         routing table, which has no containers after a reboot (503). Nothing is changed until the store is back.",
        "`ctl store check` shows the reason, `ctl store restore FILE` goes back to a copy, `ctl store new` starts over.";
    /// There is no Docker on the node.
    DOCKER_MISSING = "CTL-0111", 3, "Docker is not installed",
        "There is no Docker socket and no dockerd on the daemon's node.",
        "Install Docker Engine, or pass the path of its socket with `ctl serve --docker PATH`.";
    /// Docker does not run.
    DOCKER_STOPPED = "CTL-0112", 3, "Docker is not running",
        "The Docker Engine does not listen on its socket. Traffic to running containers is not affected, except to \
         published ports, which disappear with a rootless Engine. Until Docker is back nothing is changed and no \
         deadline runs.",
        "Start it, for example with `systemctl start docker`, or `systemctl --user start docker` for rootless Docker.";
    /// The daemon may not use Docker.
    DOCKER_DENIED = "CTL-0113", 3, "permission denied on Docker's socket",
        "The daemon's user may not open Docker's socket.",
        "Run `ctl serve` as root or as a member of the group that owns Docker's socket.";
    /// Docker returned an error.
    DOCKER_REFUSED = "CTL-0114", 3, "Docker returned an error",
        "The Docker Engine answered with an error; the message is Docker's own.",
        "Check the log of the Docker Engine, for example with `journalctl -u docker`.";
    /// The daemon has no agent for a node.
    NODE_NOT_CONNECTED = "CTL-0115", 3, "the node is not connected",
        "The replica belongs to a node that the daemon has no agent for, so the Docker Engine of that node cannot be asked. \
         Its containers may still be running. A reinstalled Docker Engine is another node.",
        "`ctl status` shows the node of this daemon, `ctl get replicas -o json` the node of each replica.";
    /// A document is not a valid manifest.
    INVALID_MANIFEST = "CTL-0201", 2, "invalid manifest",
        "At least one document is invalid. All problems of the run are shown, and nothing was changed.",
        "Fix the reported problems. `ctl validate -f FILE` checks manifests without a daemon.";
    /// The named object does not exist.
    NOT_FOUND = "CTL-0202", 2, "object not found",
        "The service, replica, revision or container does not exist. Nothing was changed.",
        "`ctl get` lists the services, `ctl get replicas` the replicas.";
    /// An image reference cannot be resolved.
    IMAGE_UNRESOLVED = "CTL-0203", 2, "cannot resolve the image",
        "The Engine has no image of that name and cannot pull it: unknown name or tag, missing credentials, or registry \
         unreachable. Nothing was changed.",
        "Run `docker pull IMAGE` on the daemon's node to check the name. For a private registry, run `docker login` there \
         as the daemon's user.";
    /// Another service has the route.
    ROUTE_TAKEN = "CTL-0204", 2, "another service has this route or port",
        "A route (host, path and conditions), or a TCP port of the node, can belong to only one service; and of two routes that one \
         request can match, one must have more conditions. The message names the service that has it, or the daemon's own address. \
         Nothing was changed.",
        "Choose another host, path, condition or port, or remove it from the other service first.";
    /// The arguments are invalid.
    USAGE = "CTL-0205", 2, "invalid arguments",
        "The arguments do not fit together, or a confirmation is needed and there is no terminal. Nothing was changed.",
        "`ctl help COMMAND` shows the arguments.";
    /// A manifest cannot be read.
    FILE_UNREADABLE = "CTL-0206", 2, "cannot read a file",
        "A file or directory given with -f does not exist, cannot be read, is too large, or contains no manifest. Nothing \
         was changed.",
        "Check the path. In a directory ctl reads *.yaml, *.yml and *.json; pass -R to include subdirectories.";
    /// The rollout is not in a state for the command.
    NOT_NOW = "CTL-0207", 2, "not possible in the rollout's current state",
        "Only a rollout in progress can be paused, and only a paused one resumed. A rollout in progress or failed can be \
         aborted if an earlier revision completed. A restart needs an idle service that runs the release of its spec; \
         `--retry` needs a failed or aborted release. Nothing was changed.",
        "`ctl rollout status SERVICE` shows the state, `ctl history SERVICE` the outcome of each revision.";
    /// The image of a revision no longer exists.
    IMAGE_GONE = "CTL-0208", 2, "the image of the revision no longer exists",
        "The image that new containers would be created from is neither on the Engine nor, if it may be pulled, in its \
         registry. Coxswain tags the images of retained revisions, but `docker image prune -a` removes every image that no \
         container uses, with its tags. Nothing was changed.",
        "Load or push exactly that image again (its digest or id counts, not its tag), apply the service to take what the \
         tag is now, or choose another revision from `ctl history SERVICE`.";
    /// A volume to delete is shared with another service.
    VOLUME_SHARED = "CTL-0209", 2, "another service uses this volume",
        "Services of one app that declare a volume of the same name share it. `ctl delete --volumes` never deletes a \
         volume that a remaining service uses. Nothing was changed.",
        "Delete the service without --volumes, or delete all services that use the volume.";
    /// The name belongs to another app or source.
    OTHER_OWNER = "CTL-0301", 7, "the name belongs to another app or source",
        "Service names are unique. A service of this name exists in another app, and a service cannot change its app; or \
         one side is declared in the daemon's manifests directory and the other was applied with a command. Only the \
         source of a service can change or delete it. Nothing was changed.",
        "Choose another name, apply with the app of the existing service, edit the file in the manifests directory, or \
         delete the other service first.";
    /// The object changed while the command ran.
    CHANGED_MEANWHILE = "CTL-0302", 7, "someone else changed the object",
        "Someone else wrote the object after this command had read it; the message names both versions. This command \
         changed nothing except what it lists.",
        "Check the object with `ctl get SERVICE -o yaml` and try again.";
    /// A manifest changes a field that was overridden live.
    OVERRIDDEN = "CTL-0303", 7, "a field was changed both live and in the manifest",
        "`scale`, `rollout --image` and `undo` change a service without its manifest; each changed field is an override. An \
         apply keeps an override as long as the manifest does not change that field. This manifest changes it to another \
         value, so ctl cannot know which one you want. Nothing was changed.",
        "Apply again with `--keep FIELD` to keep the live value or `--overwrite FIELD` to use the manifest's, or write the \
         live value into the manifest. `ctl diff -f FILE` shows both.";
    /// A rollout failed and was not rolled back.
    ROLLOUT_FAILED = "CTL-0411", 5, "the rollout failed and was not rolled back",
        "The new revision did not become healthy; a second code names the cause. It was not rolled back because there is \
         no earlier revision, the policy is `onFailure: pause`, or the rollback failed too. Existing replicas keep \
         running and the daemon keeps retrying.",
        "`ctl events SERVICE` and `ctl logs SERVICE` show the cause. Apply a fix, retry with `ctl rollout SERVICE --retry`, \
         or roll back with `ctl abort SERVICE`.";
    /// A rollout failed and was rolled back.
    ROLLED_BACK = "CTL-0412", 4, "the rollout failed and was rolled back",
        "The new revision did not become healthy, so the service was rolled back to the last completed revision; a second \
         code names the cause. No healthy replica of that revision was stopped. The failed container is stopped and \
         retained until a release succeeds. Re-applying the same manifest reports the same failure; only a new release \
         or `--retry` tries again.",
        "`ctl logs SERVICE --revision N` and `ctl events SERVICE` show the cause. Apply a fix, or retry with `ctl rollout \
         SERVICE --retry`.";
    /// The wait ended before the operation.
    TIMED_OUT = "CTL-0413", 6, "timed out waiting",
        "The operation did not complete within --timeout, or the daemon did not answer until then. It continues in the daemon.",
        "Run `ctl rollout SERVICE` to keep waiting, or `ctl get SERVICE` to see the current state.";
    /// A newer change replaced the one that was waited for.
    SUPERSEDED = "CTL-0414", 7, "superseded by a newer change",
        "While this command waited, someone changed the service again; the newer change is in effect.",
        "Run `ctl rollout SERVICE` to follow the newer change.";
    /// The awaited condition can no longer be met.
    NEVER = "CTL-0415", 1, "the condition can no longer be met",
        "`ctl wait` waits for something that can no longer happen: the service is deleted or being deleted, or the \
         revision failed or was superseded.",
        "`ctl get SERVICE` shows the current state.";
    /// The node has too little memory or cpu.
    CANNOT_PLACE = "CTL-0416", 8, "insufficient memory or cpu",
        "Replicas reserve memory and cpu (`resources: {memory: 256Mi, cpu: 250m}`), and the reservations exceed what the node has; \
         or `limits.cpu` is above the node's cores, which Docker refuses. Nothing was changed, because a node without free \
         memory kills containers at random. Extra replicas during a rollout (`maxSurge`) are not counted: leave room for them.",
        "Reduce replicas, memory or cpu, or scale down other services; `ctl get` lists them.";
    /// The rollout that was waited for was aborted.
    ABORTED = "CTL-0417", 4, "the rollout was aborted",
        "Someone ran `ctl abort`, so the service was rolled back to the last completed revision. The spec still asks for the \
         aborted release; only a new write tries it again.",
        "`ctl rollout SERVICE --retry` tries it again. `ctl undo SERVICE --to N` makes the running release the desired one.";
    /// The balancer cannot install the routing table.
    TABLE_REFUSED = "CTL-0418", 6, "the balancer rejected the routing table",
        "The balancer could not install the latest routing table, usually because the disk of the state directory is full. \
         It keeps serving the previous table and retries every second. Changes that wait for the table are blocked; the \
         operation continues once it is installed.",
        "`ctl status` shows the reason. Fix it, then run `ctl rollout SERVICE` to keep waiting.";
    /// `ctl verify` saw failed requests.
    REQUESTS_FAILED = "CTL-0419", 1, "requests failed during verification",
        "`ctl verify` counts a request as failed if there is no connection, no complete answer in time, or a status of 400 \
         or more. Each kind of failure is listed with its count and step. If requests fail before the first step, no step \
         is run.",
        "Before the first step: choose a path that answers successfully with --path. During restart or undo: requests longer \
         than `rollout.drain` are cut, and so are requests to a service that reports healthy before it can answer. See \
         `ctl events SERVICE`.";
    /// Cause of a failed rollout.
    IMAGE_NOT_FOUND = "CTL-0421", 4, "image not found",
        "The node does not have the image of the release and cannot pull it: it was removed from the registry or the node \
         after it was resolved, or `pull: never` forbids pulling. The rollout failed immediately. Like for every cause, \
         the exit code is 5 if the rollout was not rolled back.",
        "Push or build the image again under a tag, then run `ctl rollout SERVICE --image TAG`.";
    /// Cause of a failed rollout.
    PULL_DENIED = "CTL-0422", 4, "image pull denied",
        "The registry requires credentials, or rejects those of the daemon's user. The rollout failed immediately.",
        "Run `docker login` on the node as the daemon's user, then apply or roll out again.";
    /// Cause of a failed rollout.
    CANNOT_START = "CTL-0423", 4, "container cannot be started",
        "Docker failed to create or start the container three times, for example because the command, \
         user, limit or capability is unknown. The message is Docker's.",
        "Fix `command`, `entrypoint`, `security` or `resources`, then apply again.";
    /// Cause of a failed rollout.
    CRASH_LOOP = "CTL-0424", 4, "container is crash-looping",
        "Containers of a replica of the new release exited again and again until `health.startWithin` had passed; three times with \
         `rollout: {failFast: true}`, or where no other attempt can succeed: exit code 126 or 127 (no such command), `exec format \
         error` (an image for another processor). Its last log lines are shown. The last container is stopped and retained until \
         the next release succeeds.",
        "`ctl logs SERVICE --revision N` shows its log; `docker inspect` works on the container. Fix it, then apply again. A program \
         that exits until its database is up needs a `startWithin` that is long enough for that.";
    /// Cause of a failed rollout.
    OUT_OF_MEMORY = "CTL-0425", 4, "container is OOM-killed",
        "The kernel killed a container of the new release three times because it exceeded \
         `resources.memory`.",
        "Raise `resources: {memory: …}` or reduce the service's memory use, then apply again.";
    /// Cause of a failed rollout.
    BAD_ANSWER = "CTL-0426", 4, "health check returns an unhealthy response",
        "The service runs, but its health check returned a status outside 200 to 399 for all of `startWithin` or until the \
         rollout's deadline. The first line of the last response is shown.",
        "Check `ctl logs SERVICE --revision N`. If the service only starts slowly, raise `startWithin`.";
    /// Cause of a failed rollout.
    WRONG_PORT = "CTL-0427", 4, "nothing listens on the health check's port",
        "The container runs, but connections to the port of its health check are refused, or closed by the proxy of a \
         published port. If possible, the message lists the ports that the container listens on. A port that listens on \
         127.0.0.1 only cannot be reached from outside the container.",
        "Fix `port` in the manifest, or make the service listen on that port on all addresses (0.0.0.0).";
    /// Cause of a failed rollout.
    NEVER_HEALTHY = "CTL-0428", 4, "the health check never passed",
        "The container runs, but its health check got no valid response for all of `startWithin` or until the rollout's \
         deadline: it timed out, or the response was not HTTP.",
        "If the service is slow, raise `health.timeout` or `startWithin`. Check the path and the protocol.";
    /// Cause of a failed rollout.
    NO_PROGRESS = "CTL-0429", 4, "rollout deadline exceeded",
        "No further replica of the new release became available within `rollout.deadline`, for no cause that has a code of \
         its own.",
        "The lines under *why* show what each replica waits for; `ctl status` shows what blocks the daemon.";
    /// Cause of a failed rollout.
    TASK_COMPLETED = "CTL-0430", 4, "the container's process completed",
        "A container of the new release exited with code 0 three times. A Service runs until it is \
         stopped, so a process that ends is started again, whatever its exit code. Either it is a task, or it is a server that \
         forks into the background, which ends the container.",
        "Run a task with `docker run --rm IMAGE`, from cron or a systemd timer, or in the release pipeline before `ctl apply`. \
         Start a server in the foreground (`nginx -g 'daemon off;'`, `redis-server --daemonize no`).";
}

#[cfg(test)]
mod tests {
    use super::super::exits::EXITS;
    use super::*;

    #[test]
    fn codes_are_sorted_and_well_formed() {
        let all: Vec<&Code> = all().collect();
        for pair in all.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        for code in all {
            let number = code.id.strip_prefix("CTL-").expect("prefix");
            assert!(number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()), "{}", code.id);
            assert!(code.exit > 0 && EXITS.iter().any(|(exit, _)| *exit == code.exit), "{}", code.id);
            assert!(!code.title.ends_with('.') && code.meaning.ends_with('.') && code.remedy.ends_with('.'));
        }
    }

    #[test]
    fn find_accepts_all_spellings() {
        for text in ["CTL-0412", "ctl-0412", "0412", " 0412 "] {
            assert_eq!(find(text), Some(&ROLLED_BACK), "{text}");
        }
        for text in ["", "CTL-", "CTL-9999", "412"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
