//! What an Engine's error means. By call and status code; for pull and start also by message text, in one function.

/// An error of the Engine, by what it means for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No Docker here: no socket at this path and no `dockerd` on the machine.
    #[error("Docker is not installed: there is no socket {socket} and no dockerd")]
    Missing {
        /// Path of the socket.
        socket: String,
    },
    /// Docker is installed and does not run: no socket, or nobody accepts on it.
    #[error("Docker is not running: nothing answers on {socket}")]
    Stopped {
        /// Path of the socket.
        socket: String,
    },
    /// The socket is there and we may not open it.
    #[error("no permission to use Docker's socket {socket}")]
    Denied {
        /// Path of the socket.
        socket: String,
    },
    /// No answer within the call's deadline, or the connection broke: what was asked may or may not have happened.
    #[error("Docker did not answer {call} in time: {message}")]
    Unanswered {
        /// Which call.
        call: &'static str,
        /// What broke.
        message: String,
    },
    /// The object does not exist.
    #[error("no such {what}: {name}")]
    NotFound {
        /// `container`, `image`, `network` or `volume`.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The container is not running.
    #[error("container {name} is not running")]
    NotRunning {
        /// Which.
        name: String,
    },
    /// A name, address or subnet is taken, or the object is in the way of itself (being removed, in use).
    #[error("{message}")]
    Conflict {
        /// In the Engine's words.
        message: String,
    },
    /// The registry wants credentials or refuses ours.
    #[error("the registry refuses to give {image}: {message}")]
    PullDenied {
        /// Which image.
        image: String,
        /// In the Engine's words.
        message: String,
    },
    /// The registry does not know the image.
    #[error("the registry does not have {image}: {message}")]
    ImageUnknown {
        /// Which image.
        image: String,
        /// In the Engine's words.
        message: String,
    },
    /// The registry cannot be reached or is not well: trying again later may help.
    #[error("the registry of {image} cannot be reached: {message}")]
    RegistryUnreachable {
        /// Which image.
        image: String,
        /// In the Engine's words.
        message: String,
    },
    /// What was asked cannot work as asked: a bad command, user, capability, limit.
    #[error("{message}")]
    Invalid {
        /// In the Engine's words.
        message: String,
    },
    /// The Engine failed; trying again may help.
    #[error("Docker failed at {call} ({status}): {message}")]
    Failed {
        /// Which call.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// In the Engine's words.
        message: String,
    },
}

impl EngineError {
    /// Whether the Engine itself is away, so that nothing can be said of any container.
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Stopped { .. } | Self::Denied { .. } | Self::Unanswered { .. }
        )
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What a call was about: what a 404 or 409 speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About<'a> {
    /// The Engine itself.
    Engine,
    /// A container, by id or name.
    Container(&'a str),
    /// A signal to a container.
    Signal(&'a str),
    /// A container to make from this image.
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

/// How a call failed, before it is known what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no socket; whether a `dockerd` is on the machine.
    NoSocket {
        /// It is.
        installed: bool,
    },
    /// Connecting to the socket failed, or the connection broke.
    Io(std::io::ErrorKind, String),
    /// No answer in time.
    Timeout,
    /// The Engine answered with this status.
    Status(u16, String),
    /// The Engine began to answer and then reported this.
    Reported(String),
    /// The answer was not understood.
    Garbled(String),
}

/// What a failure means for the caller: the only place that decides it.
pub(super) fn classify(socket: &str, call: &'static str, about: About<'_>, failure: Failure) -> EngineError {
    use std::io::ErrorKind;
    let socket = || socket.to_owned();
    match failure {
        // Only the registry keeps a pull waiting that long.
        Failure::Timeout if let About::Pull(image) = about => EngineError::RegistryUnreachable {
            image: image.to_owned(),
            message: "no progress for minutes".to_owned(),
        },
        Failure::NoSocket { installed: false } => EngineError::Missing { socket: socket() },
        Failure::NoSocket { installed: true } | Failure::Io(ErrorKind::ConnectionRefused, _) => {
            EngineError::Stopped { socket: socket() }
        }
        Failure::Io(ErrorKind::PermissionDenied, _) => EngineError::Denied { socket: socket() },
        Failure::Io(_, message) => EngineError::Unanswered { call, message },
        Failure::Timeout => EngineError::Unanswered { call, message: "its deadline passed".to_owned() },
        Failure::Status(status, message) => by_status(call, about, status, message),
        Failure::Reported(message) => by_status(call, about, 500, message),
        Failure::Garbled(message) => EngineError::Failed { call, status: 200, message },
    }
}

fn by_status(call: &'static str, about: About<'_>, status: u16, message: String) -> EngineError {
    let missing = |what: &'static str, name: &str| EngineError::NotFound { what, name: name.to_owned() };
    match (about, status) {
        (About::Pull(image), _) => by_pull_message(image, status, message),
        (About::Start(name), _) => by_start_message(call, name, status, message),
        (About::Signal(name), 409) => EngineError::NotRunning { name: name.to_owned() },
        (About::Container(name) | About::Signal(name), 404) => missing("container", name),
        (About::Create(image) | About::Image(image), 404) => missing("image", image),
        (About::Volume(name), 404) => missing("volume", name),
        (About::Network(name), 404) => missing("network", name),
        // For networks Docker says "forbidden" where it means that something is in the way.
        (About::Network(_), 403) | (_, 409) => EngineError::Conflict { message },
        (_, 400) => EngineError::Invalid { message },
        _ => EngineError::Failed { call, status, message },
    }
}

/// What a message of a failed pull or start means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Denied,
    Unknown,
    Unreachable,
    Invalid,
    Conflict,
    NoNetwork,
}

/// Parts of messages, in lower case, with what they mean; the first that occurs decides. The Engine answers 500 for most
/// of them (20.10: 404 for missing credentials), because it passes on what registry and runtime say.
const PULL_MESSAGES: &[(&str, Meaning)] = &[
    // Its text goes on with "by authenticating", so it comes before the refusals.
    ("toomanyrequests", Meaning::Unreachable),
    ("too many requests", Meaning::Unreachable),
    // Docker Hub says this for what does not exist as well; it cannot be told apart.
    ("pull access denied", Meaning::Denied),
    ("no basic auth credentials", Meaning::Denied),
    ("unauthorized", Meaning::Denied),
    ("authentication required", Meaning::Denied),
    ("incorrect username or password", Meaning::Denied),
    ("denied", Meaning::Denied),
    ("403 forbidden", Meaning::Denied),
    ("no such host", Meaning::Unreachable),
    ("connection refused", Meaning::Unreachable),
    ("connection reset", Meaning::Unreachable),
    ("i/o timeout", Meaning::Unreachable),
    ("handshake timeout", Meaning::Unreachable),
    ("client.timeout exceeded", Meaning::Unreachable),
    ("deadline exceeded", Meaning::Unreachable),
    ("request canceled", Meaning::Unreachable),
    ("network is unreachable", Meaning::Unreachable),
    ("no route to host", Meaning::Unreachable),
    ("server misbehaving", Meaning::Unreachable),
    ("temporary failure in name resolution", Meaning::Unreachable),
    ("x509:", Meaning::Unreachable),
    ("server gave http response to https client", Meaning::Unreachable),
    ("500 internal server error", Meaning::Unreachable),
    ("502 bad gateway", Meaning::Unreachable),
    ("503 service unavailable", Meaning::Unreachable),
    ("504 gateway", Meaning::Unreachable),
    ("unexpected eof", Meaning::Unreachable),
    (": eof", Meaning::Unreachable),
    ("invalid reference format", Meaning::Invalid),
    ("no matching manifest", Meaning::Unknown),
    ("manifest unknown", Meaning::Unknown),
    ("name unknown", Meaning::Unknown),
    ("repository does not exist", Meaning::Unknown),
    ("not found", Meaning::Unknown),
];

const START_MESSAGES: &[(&str, Meaning)] = &[
    ("address already in use", Meaning::Conflict),
    ("port is already allocated", Meaning::Conflict),
    ("marked for removal", Meaning::Conflict),
    ("executable file not found", Meaning::Invalid),
    ("no such file or directory", Meaning::Invalid),
    ("permission denied", Meaning::Invalid),
    ("is a directory", Meaning::Invalid),
    ("exec format error", Meaning::Invalid),
    ("unable to find user", Meaning::Invalid),
    ("no matching entries in", Meaning::Invalid),
    ("does not belong to any of this network's subnets", Meaning::Invalid),
    ("invalid address", Meaning::Invalid),
    ("minimum memory limit", Meaning::Invalid),
    ("could not find a network matching", Meaning::NoNetwork),
    ("network ", Meaning::NoNetwork),
];

fn meaning(table: &[(&str, Meaning)], message: &str) -> Option<Meaning> {
    let message = message.to_lowercase();
    table.iter().find(|(part, _)| message.contains(part)).map(|(_, meaning)| *meaning)
}

fn by_pull_message(image: &str, status: u16, message: String) -> EngineError {
    let image = image.to_owned();
    match meaning(PULL_MESSAGES, &message) {
        Some(Meaning::Denied) => EngineError::PullDenied { image, message },
        Some(Meaning::Unknown) => EngineError::ImageUnknown { image, message },
        Some(Meaning::Unreachable) => EngineError::RegistryUnreachable { image, message },
        Some(Meaning::Invalid) => EngineError::Invalid { message },
        Some(Meaning::Conflict | Meaning::NoNetwork) | None => match status {
            400 => EngineError::Invalid { message },
            404 => EngineError::ImageUnknown { image, message },
            _ => EngineError::Failed { call: "pull", status, message },
        },
    }
}

fn by_start_message(call: &'static str, name: &str, status: u16, message: String) -> EngineError {
    match (meaning(START_MESSAGES, &message), status) {
        (Some(Meaning::NoNetwork), 404) => EngineError::NotFound { what: "network", name: message },
        (None, 404) => EngineError::NotFound { what: "container", name: name.to_owned() },
        (Some(Meaning::Conflict), _) | (_, 409) => EngineError::Conflict { message },
        (Some(Meaning::Invalid), _) | (_, 400) => EngineError::Invalid { message },
        _ => EngineError::Failed { call, status, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variant's name, and what was found missing.
    fn kind(about: About<'_>, failure: Failure) -> String {
        let error = classify("/run/d.sock", "call", about, failure);
        let name = format!("{error:?}");
        let name = name.split([' ', '{']).next().unwrap().to_owned();
        match error {
            EngineError::NotFound { what, .. } => format!("{name} {what}"),
            _ => name,
        }
    }

    #[test]
    fn an_engine_that_is_away_says_how() {
        use std::io::ErrorKind;
        let io = |kind| Failure::Io(kind, "text".into());
        for (failure, expected) in [
            (Failure::NoSocket { installed: false }, "Missing"),
            (Failure::NoSocket { installed: true }, "Stopped"),
            (io(ErrorKind::ConnectionRefused), "Stopped"),
            (io(ErrorKind::PermissionDenied), "Denied"),
            (io(ErrorKind::ConnectionReset), "Unanswered"),
            (io(ErrorKind::Other), "Unanswered"),
            (Failure::Garbled("x".into()), "Failed"),
        ] {
            for about in [About::Engine, About::Start("c"), About::Pull("i")] {
                assert_eq!(kind(about, failure.clone()), expected, "{failure:?}");
            }
        }
        assert_eq!(kind(About::Start("c"), Failure::Timeout), "Unanswered");
        assert_eq!(kind(About::Pull("i"), Failure::Timeout), "RegistryUnreachable");
    }

    #[test]
    fn statuses_mean_what_the_call_was_about() {
        for (about, status, message, expected) in [
            (About::Container("c"), 404, "No such container: c", "NotFound container"),
            (About::Container("c"), 409, "removal of container c is already in progress", "Conflict"),
            (About::Signal("c"), 404, "No such container: c", "NotFound container"),
            (About::Signal("c"), 409, "Cannot kill container: c: Container c is not running", "NotRunning"),
            (About::Create("i"), 404, "No such image: i:latest", "NotFound image"),
            (
                About::Create("i"),
                409,
                "Conflict. The container name \"/a\" is already in use by container \"c\".",
                "Conflict",
            ),
            (About::Create("i"), 400, "Minimum memory limit allowed is 6MB", "Invalid"),
            (About::Image("i"), 404, "no such image: i: No such image: i:latest", "NotFound image"),
            (About::Image("i"), 409, "conflict: unable to remove repository reference", "Conflict"),
            (About::Network("n"), 404, "network n not found", "NotFound network"),
            (About::Network("n"), 403, "Pool overlaps with other one on this address space", "Conflict"),
            (About::Network("n"), 403, "error while removing network: n has active endpoints", "Conflict"),
            (About::Volume("v"), 404, "get v: no such volume", "NotFound volume"),
            (About::Volume("v"), 409, "remove v: volume is in use - [c]", "Conflict"),
            (About::Engine, 500, "boom", "Failed"),
            (About::Engine, 503, "shutting down", "Failed"),
        ] {
            assert_eq!(kind(about, Failure::Status(status, message.into())), expected, "{message}");
        }
    }

    /// As registries and Engines said it; some come as a status, some within a stream that began well.
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
            let about = About::Pull("users:9");
            assert_eq!(kind(about, Failure::Status(*status, (*message).into())), *expected, "{message}");
        }
        let midway = Failure::Reported("unauthorized: authentication required".into());
        assert_eq!(kind(About::Pull("users:9"), midway), "PullDenied");
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
                kind(About::Start("c"), Failure::Status(status, message.clone())),
                expected,
                "{message}"
            );
        }
    }
}
