//! Classifies failures of calls: by call and status code; for pull and start also by message text. Pure.

use super::error::{EngineError, EngineObject};

/// The object of a call: what a 404 or 409 refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallObject<'a> {
    /// The Engine itself.
    Engine,
    /// A container, by id or name.
    Container(&'a str),
    /// The log of a container.
    Log(&'a str),
    /// A signal to a container.
    Signal(&'a str),
    /// A container to create from this image.
    Create(&'a str),
    /// The start of a container.
    Start(&'a str),
    /// An image the Engine has.
    Image(&'a str),
    /// An image to pull.
    Pull(&'a str),
    /// A network.
    Network(&'a str),
    /// A volume.
    Volume(&'a str),
}

/// How a call failed, before classification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// There is no socket; `installed` says whether a `dockerd` is on the node.
    NoSocket { installed: bool },
    /// Connecting to the socket failed, or the connection broke.
    Io(std::io::ErrorKind, String),
    /// No response in time.
    Timeout,
    /// The Engine responded with this status.
    Status(u16, String),
    /// The Engine reported this in the middle of its response.
    Reported(String),
    /// The response could not be decoded.
    Garbled(String),
}

/// Classifies a failure; the only place that does.
pub(super) fn classify(
    socket: &str,
    call: &'static str,
    about: CallObject<'_>,
    failure: CallFailure,
) -> EngineError {
    use std::io::ErrorKind;
    let socket = || socket.to_owned();
    match failure {
        // Only the registry keeps a pull waiting that long.
        CallFailure::Timeout if let CallObject::Pull(image) = about => EngineError::RegistryUnreachable {
            image: image.to_owned(),
            message: "no progress for minutes".to_owned(),
        },
        CallFailure::NoSocket { installed: false } => EngineError::Missing { socket: socket() },
        CallFailure::NoSocket { installed: true } | CallFailure::Io(ErrorKind::ConnectionRefused, _) => {
            EngineError::Stopped { socket: socket() }
        }
        CallFailure::Io(ErrorKind::PermissionDenied, _) => EngineError::Denied { socket: socket() },
        CallFailure::Io(_, message) => EngineError::Unanswered { call, message },
        CallFailure::Timeout => EngineError::Unanswered { call, message: "its deadline passed".to_owned() },
        CallFailure::Status(status, message) => by_status(call, about, status, message),
        CallFailure::Reported(message) => by_status(call, about, 500, message),
        CallFailure::Garbled(message) => EngineError::Failed { call, status: 200, message },
    }
}

fn by_status(call: &'static str, about: CallObject<'_>, status: u16, message: String) -> EngineError {
    let missing = |what: EngineObject, name: &str| EngineError::NotFound { what, name: name.to_owned() };
    match (about, status) {
        (CallObject::Pull(image), _) => by_pull_message(image, status, message),
        (CallObject::Start(name), _) => by_start_message(call, name, status, message),
        (CallObject::Signal(name), 409) => EngineError::NotRunning { name: name.to_owned() },
        // 409 while it is being removed.
        (CallObject::Log(name), 404 | 409)
        | (CallObject::Container(name) | CallObject::Signal(name), 404) => {
            missing(EngineObject::Container, name)
        }
        (CallObject::Create(image) | CallObject::Image(image), 404) => missing(EngineObject::Image, image),
        (CallObject::Volume(name), 404) => missing(EngineObject::Volume, name),
        (CallObject::Network(name), 404) => missing(EngineObject::Network, name),
        // For networks Docker answers "forbidden" where it means a conflict.
        (CallObject::Network(_), 403) | (_, 409) => EngineError::Conflict { message },
        (_, 400) => EngineError::Invalid { message },
        _ => EngineError::Failed { call, status, message },
    }
}

/// The meaning of a message of a failed pull or start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageMeaning {
    Denied,
    Unknown,
    Unreachable,
    Invalid,
    Conflict,
    NoNetwork,
}

/// Parts of messages, in lower case, with what they mean; the first match decides. The Engine answers 500 to most
/// of them (20.10: 404 for missing credentials), because it passes on the messages of registry and runtime.
const PULL_MESSAGES: &[(&str, MessageMeaning)] = &[
    // The text continues with "by authenticating", so it comes before the refusals.
    ("toomanyrequests", MessageMeaning::Unreachable),
    ("too many requests", MessageMeaning::Unreachable),
    // Docker Hub also answers this for an image that does not exist.
    ("pull access denied", MessageMeaning::Denied),
    ("no basic auth credentials", MessageMeaning::Denied),
    ("unauthorized", MessageMeaning::Denied),
    ("authentication required", MessageMeaning::Denied),
    ("incorrect username or password", MessageMeaning::Denied),
    ("denied", MessageMeaning::Denied),
    ("403 forbidden", MessageMeaning::Denied),
    ("no such host", MessageMeaning::Unreachable),
    ("connection refused", MessageMeaning::Unreachable),
    ("connection reset", MessageMeaning::Unreachable),
    ("i/o timeout", MessageMeaning::Unreachable),
    ("handshake timeout", MessageMeaning::Unreachable),
    ("client.timeout exceeded", MessageMeaning::Unreachable),
    ("deadline exceeded", MessageMeaning::Unreachable),
    ("request canceled", MessageMeaning::Unreachable),
    ("network is unreachable", MessageMeaning::Unreachable),
    ("no route to host", MessageMeaning::Unreachable),
    ("server misbehaving", MessageMeaning::Unreachable),
    ("temporary failure in name resolution", MessageMeaning::Unreachable),
    ("x509:", MessageMeaning::Unreachable),
    ("server gave http response to https client", MessageMeaning::Unreachable),
    ("500 internal server error", MessageMeaning::Unreachable),
    ("502 bad gateway", MessageMeaning::Unreachable),
    ("503 service unavailable", MessageMeaning::Unreachable),
    ("504 gateway", MessageMeaning::Unreachable),
    ("unexpected eof", MessageMeaning::Unreachable),
    (": eof", MessageMeaning::Unreachable),
    ("invalid reference format", MessageMeaning::Invalid),
    ("no matching manifest", MessageMeaning::Unknown),
    ("manifest unknown", MessageMeaning::Unknown),
    ("name unknown", MessageMeaning::Unknown),
    ("repository does not exist", MessageMeaning::Unknown),
    ("not found", MessageMeaning::Unknown),
];

const START_MESSAGES: &[(&str, MessageMeaning)] = &[
    ("address already in use", MessageMeaning::Conflict),
    ("port is already allocated", MessageMeaning::Conflict),
    ("marked for removal", MessageMeaning::Conflict),
    ("executable file not found", MessageMeaning::Invalid),
    ("no such file or directory", MessageMeaning::Invalid),
    ("permission denied", MessageMeaning::Invalid),
    ("is a directory", MessageMeaning::Invalid),
    ("exec format error", MessageMeaning::Invalid),
    // Above the machine's hard limit, as a `nofile` above `fs.nr_open`.
    ("error setting rlimit", MessageMeaning::Invalid),
    ("unable to find user", MessageMeaning::Invalid),
    ("no matching entries in", MessageMeaning::Invalid),
    ("does not belong to any of this network's subnets", MessageMeaning::Invalid),
    ("invalid address", MessageMeaning::Invalid),
    ("minimum memory limit", MessageMeaning::Invalid),
    ("could not find a network matching", MessageMeaning::NoNetwork),
    ("network ", MessageMeaning::NoNetwork),
];

fn meaning(table: &[(&str, MessageMeaning)], message: &str) -> Option<MessageMeaning> {
    let message = message.to_lowercase();
    table.iter().find(|(part, _)| message.contains(part)).map(|(_, meaning)| *meaning)
}

fn by_pull_message(image: &str, status: u16, message: String) -> EngineError {
    let image = image.to_owned();
    match meaning(PULL_MESSAGES, &message) {
        Some(MessageMeaning::Denied) => EngineError::PullDenied { image, message },
        Some(MessageMeaning::Unknown) => EngineError::ImageUnknown { image, message },
        Some(MessageMeaning::Unreachable) => EngineError::RegistryUnreachable { image, message },
        Some(MessageMeaning::Invalid) => EngineError::Invalid { message },
        Some(MessageMeaning::Conflict | MessageMeaning::NoNetwork) | None => match status {
            400 => EngineError::Invalid { message },
            404 => EngineError::ImageUnknown { image, message },
            _ => EngineError::Failed { call: "pull", status, message },
        },
    }
}

fn by_start_message(call: &'static str, name: &str, status: u16, message: String) -> EngineError {
    match (meaning(START_MESSAGES, &message), status) {
        (Some(MessageMeaning::NoNetwork), 404) => {
            EngineError::NotFound { what: EngineObject::Network, name: message }
        }
        (None, 404) => EngineError::NotFound { what: EngineObject::Container, name: name.to_owned() },
        (Some(MessageMeaning::Conflict), _) | (_, 409) => EngineError::Conflict { message },
        (Some(MessageMeaning::Invalid), _) | (_, 400) => EngineError::Invalid { message },
        _ => EngineError::Failed { call, status, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variant's name, and the missing object.
    fn kind(about: CallObject<'_>, failure: CallFailure) -> String {
        let error = classify("/run/d.sock", "call", about, failure);
        let name = format!("{error:?}");
        let name = name.split([' ', '{']).next().unwrap().to_owned();
        match error {
            EngineError::NotFound { what, .. } => format!("{name} {what}"),
            _ => name,
        }
    }

    #[test]
    fn classify_distinguishes_why_the_engine_is_away() {
        use std::io::ErrorKind;
        let io = |kind| CallFailure::Io(kind, "text".into());
        for (failure, expected) in [
            (CallFailure::NoSocket { installed: false }, "Missing"),
            (CallFailure::NoSocket { installed: true }, "Stopped"),
            (io(ErrorKind::ConnectionRefused), "Stopped"),
            (io(ErrorKind::PermissionDenied), "Denied"),
            (io(ErrorKind::ConnectionReset), "Unanswered"),
            (io(ErrorKind::Other), "Unanswered"),
            (CallFailure::Garbled("x".into()), "Failed"),
        ] {
            for about in [CallObject::Engine, CallObject::Start("c"), CallObject::Pull("i")] {
                assert_eq!(kind(about, failure.clone()), expected, "{failure:?}");
            }
        }
        assert_eq!(kind(CallObject::Start("c"), CallFailure::Timeout), "Unanswered");
        assert_eq!(kind(CallObject::Pull("i"), CallFailure::Timeout), "RegistryUnreachable");
    }

    #[test]
    fn classify_reads_a_status_by_the_object_of_the_call() {
        for (about, status, message, expected) in [
            (CallObject::Container("c"), 404, "No such container: c", "NotFound container"),
            (CallObject::Container("c"), 409, "removal of container c is already in progress", "Conflict"),
            (
                CallObject::Log("c"),
                409,
                "can not get logs from container which is dead or marked for removal",
                "NotFound container",
            ),
            (CallObject::Signal("c"), 404, "No such container: c", "NotFound container"),
            (
                CallObject::Signal("c"),
                409,
                "Cannot kill container: c: Container c is not running",
                "NotRunning",
            ),
            (CallObject::Create("i"), 404, "No such image: i:latest", "NotFound image"),
            (
                CallObject::Create("i"),
                409,
                "Conflict. The container name \"/a\" is already in use by container \"c\".",
                "Conflict",
            ),
            (CallObject::Create("i"), 400, "Minimum memory limit allowed is 6MB", "Invalid"),
            (CallObject::Image("i"), 404, "no such image: i: No such image: i:latest", "NotFound image"),
            (CallObject::Image("i"), 409, "conflict: unable to remove repository reference", "Conflict"),
            (CallObject::Network("n"), 404, "network n not found", "NotFound network"),
            (CallObject::Network("n"), 403, "Pool overlaps with other one on this address space", "Conflict"),
            (
                CallObject::Network("n"),
                403,
                "error while removing network: n has active endpoints",
                "Conflict",
            ),
            (CallObject::Volume("v"), 404, "get v: no such volume", "NotFound volume"),
            (CallObject::Volume("v"), 409, "remove v: volume is in use - [c]", "Conflict"),
            (CallObject::Engine, 500, "boom", "Failed"),
            (CallObject::Engine, 503, "shutting down", "Failed"),
        ] {
            assert_eq!(kind(about, CallFailure::Status(status, message.into())), expected, "{message}");
        }
    }

    /// Messages as registries and Engines send them, as a status or inside a stream that began successfully.
    const PULLS: &[(u16, &str, &str)] = &[
        (
            500,
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such \
             host",
            "RegistryUnreachable",
        ),
        (
            500,
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "RegistryUnreachable",
        ),
        (500, "Get \"https://r.io/v2/\": dial tcp 10.1.1.1:443: i/o timeout", "RegistryUnreachable"),
        (500, "Get \"https://r.io/v2/\": net/http: TLS handshake timeout", "RegistryUnreachable"),
        (
            500,
            "Get \"https://r.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout \
             exceeded while awaiting headers)",
            "RegistryUnreachable",
        ),
        (
            500,
            "Get \"https://r.io/v2/\": x509: certificate signed by unknown authority",
            "RegistryUnreachable",
        ),
        (
            500,
            "Get \"https://r.io/v2/\": http: server gave HTTP response to HTTPS client",
            "RegistryUnreachable",
        ),
        (
            500,
            "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and \
             upgrading: https://www.docker.com/increase-rate-limit",
            "RegistryUnreachable",
        ),
        (
            404,
            "pull access denied for acme/users, repository does not exist or may require 'docker login': denied: \
             requested access to the resource is denied",
            "PullDenied",
        ),
        (500, "Get \"https://r.io/v2/a/manifests/1\": no basic auth credentials", "PullDenied"),
        (500, "Head \"https://ghcr.io/v2/a/b/manifests/1\": unauthorized", "PullDenied"),
        (500, "unauthorized: incorrect username or password", "PullDenied"),
        (500, "Head \"https://ghcr.io/v2/a/b/manifests/1\": denied", "PullDenied"),
        (404, "manifest for users:9 not found: manifest unknown: manifest unknown", "ImageUnknown"),
        (404, "no matching manifest for linux/arm64/v8 in the manifest list entries", "ImageUnknown"),
        (400, "invalid reference format: repository name must be lowercase", "Invalid"),
        (500, "write /var/lib/docker/tmp/x: no space left on device", "Failed"),
    ];

    #[test]
    fn pulls_are_understood_by_their_message() {
        for (status, message, expected) in PULLS {
            let about = CallObject::Pull("users:9");
            assert_eq!(kind(about, CallFailure::Status(*status, (*message).into())), *expected, "{message}");
        }
        let midway = CallFailure::Reported("unauthorized: authentication required".into());
        assert_eq!(kind(CallObject::Pull("users:9"), midway), "PullDenied");
    }

    #[test]
    fn starts_are_understood_by_their_message() {
        let runtime = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start \
                       container process: exec: \"x\": ";
        for (status, message, expected) in [
            (404, "No such container: c".to_owned(), "NotFound container"),
            (404, "network users-net not found".to_owned(), "NotFound network"),
            (
                404,
                "could not find a network matching network mode n: network n not found".into(),
                "NotFound network",
            ),
            (400, format!("{runtime}executable file not found in $PATH: unknown"), "Invalid"),
            (400, format!("{runtime}permission denied: unknown"), "Invalid"),
            (500, format!("{runtime}stat /x: no such file or directory: unknown"), "Invalid"),
            (500, "exec /x: exec format error".to_owned(), "Invalid"),
            (
                500,
                format!("{runtime}error setting rlimit type 7: operation not permitted: unknown"),
                "Invalid",
            ),
            (400, "unable to find user app: no matching entries in passwd file".to_owned(), "Invalid"),
            (
                500,
                "Invalid address 10.1.1.1: It does not belong to any of this network's subnets".to_owned(),
                "Invalid",
            ),
            (403, "Address already in use".to_owned(), "Conflict"),
            (
                500,
                "driver failed programming: Bind for 0.0.0.0:80 failed: port is already allocated".into(),
                "Conflict",
            ),
            (409, "container is marked for removal and cannot be started".to_owned(), "Conflict"),
            (500, "failed to start shim: fork/exec: resource temporarily unavailable".to_owned(), "Failed"),
        ] {
            assert_eq!(
                kind(CallObject::Start("c"), CallFailure::Status(status, message.clone())),
                expected,
                "{message}"
            );
        }
    }
}
