//! Which keys each block has, which of them a later version brings, and which are known from elsewhere.
//!
//! A key of a later version is refused, never ignored: a manifest that asks for a secret must not run without one.

/// The keys of a block.
pub(super) struct Shape {
    /// What is read.
    pub(super) keys: &'static [&'static str],
    /// What `ctl get` prints of the system's own: accepted and left out.
    pub(super) ignored: &'static [&'static str],
    /// What the format has and this version does not.
    pub(super) later: &'static [&'static str],
    /// Words from elsewhere: the key of this block that says it here (or none), and what to say to them.
    pub(super) elsewhere: &'static [(&'static str, &'static str, &'static str)],
}

const NONE: Shape = Shape { keys: &[], ignored: &[], later: &[], elsewhere: &[] };

pub(super) const DOCUMENT: Shape = Shape {
    keys: &["apiVersion", "kind", "metadata", "spec"],
    ignored: &["status"],
    elsewhere: &[
        ("name", "metadata", "the name is written under `metadata`"),
        ("app", "metadata", "the app is written under `metadata`"),
        ("image", "spec", "the image is written under `spec`"),
        ("replicas", "spec", "the number of replicas is written under `spec`"),
    ],
    ..NONE
};

pub(super) const LIST: Shape =
    Shape { keys: &["apiVersion", "kind", "items"], ignored: &["metadata"], ..NONE };

pub(super) const METADATA: Shape = Shape {
    keys: &["name", "app", "annotations"],
    ignored: &["uid", "generation", "createdAt"],
    elsewhere: &[
        ("namespace", "app", "there are no namespaces; `app` groups what belongs together"),
        ("labels", "", "labels of the containers are written under `spec.labels`"),
    ],
    ..NONE
};

pub(super) const SPEC: Shape = Shape {
    keys: &[
        "image",
        "pull",
        "replicas",
        "entrypoint",
        "command",
        "port",
        "ports",
        "route",
        "balance",
        "health",
        "env",
        "volumes",
        "resources",
        "limits",
        "rollout",
        "stop",
        "security",
        "logging",
        "labels",
    ],
    later: &[
        "registry",
        "liveness",
        "files",
        "hostPort",
        "placement",
        "dependsOn",
        "preRollout",
        "external",
        "registration",
    ],
    elsewhere: &[
        (
            "args",
            "command",
            "`args` is not a key here: `entrypoint` is what runs (Docker's ENTRYPOINT) and `command` its arguments (Docker's CMD)",
        ),
        ("cmd", "command", "the arguments of the entrypoint are written under `command`"),
        ("environment", "env", "the environment is written under `env`, as a map"),
        (
            "containers",
            "image",
            "a service is one container; write its `image` and the rest directly under `spec`",
        ),
        ("template", "image", "there is no pod template; write `image` and the rest directly under `spec`"),
        ("selector", "", "a service selects nothing; its replicas are its own"),
        ("strategy", "rollout", "how it is rolled is written under `rollout`"),
        ("restart", "", "a replica that ends is always started again"),
        ("restartPolicy", "", "a replica that ends is always started again"),
        ("readinessProbe", "health", "readiness is written under `health`"),
        ("healthcheck", "health", "readiness is written under `health`"),
        ("livenessProbe", "", "liveness is not supported yet; `health` decides about traffic"),
        ("volumeMounts", "volumes", "volumes and where they are mounted are written under `volumes`"),
        ("networks", "", "every app has one network of its own; there is nothing to write"),
    ],
    ..NONE
};

pub(super) const PORT: Shape = Shape {
    keys: &["name", "port", "protocol"],
    later: &["hostPort"],
    elsewhere: &[
        ("containerPort", "port", "the port of the container is written under `port`"),
        (
            "targetPort",
            "port",
            "the port of the container is written under `port`; nothing is published on the host",
        ),
        ("nodePort", "", "nothing is published on the host; a `route` leads to the service"),
    ],
    ..NONE
};

pub(super) const ROUTE: Shape = Shape {
    keys: &["host", "path", "port", "timeout", "stripPrefix"],
    later: &["tls", "retry", "sticky", "match"],
    ..NONE
};

pub(super) const HEALTH: Shape = Shape {
    keys: &[
        "http",
        "tcp",
        "grpc",
        "exec",
        "none",
        "port",
        "interval",
        "timeout",
        "startWithin",
        "healthyAfter",
        "unhealthyAfter",
    ],
    elsewhere: &[
        ("httpGet", "http", "write the path under `http`"),
        ("path", "http", "write the path under `http`"),
        ("tcpSocket", "tcp", "write `tcp: true`, and the port's name under `port`"),
        ("command", "exec", "write the command as a list under `exec`"),
        ("test", "exec", "write the command as a list under `exec`, without Docker's CMD in front"),
        ("initialDelaySeconds", "startWithin", "probes begin at once and repeat until `startWithin`"),
        ("periodSeconds", "interval", "write a duration with a unit under `interval`"),
        ("timeoutSeconds", "timeout", "write a duration with a unit under `timeout`"),
        ("failureThreshold", "unhealthyAfter", "write the number under `unhealthyAfter`"),
        ("successThreshold", "healthyAfter", "write the number under `healthyAfter`"),
    ],
    ..NONE
};

pub(super) const VOLUME: Shape = Shape {
    keys: &["name", "path", "readOnly", "perReplica"],
    elsewhere: &[
        ("mountPath", "path", "the path in the container is written under `path`"),
        ("target", "path", "the path in the container is written under `path`"),
        ("destination", "path", "the path in the container is written under `path`"),
        ("source", "name", "a volume has a `name`; no path of the host is mounted"),
        ("hostPath", "name", "a volume has a `name`; no path of the host is mounted"),
        ("read_only", "readOnly", "written as `readOnly`"),
    ],
    ..NONE
};

pub(super) const ENV_VALUE: Shape = Shape { keys: &["field"], later: &["secret", "config"], ..NONE };

pub(super) const RESOURCES: Shape = Shape {
    keys: &["cpu", "memory"],
    elsewhere: &[
        ("requests", "", "write `cpu` and `memory` directly under `resources`"),
        ("limits", "", "`memory` is the hard limit too; a limit of cpu is written under `spec.limits`"),
    ],
    ..NONE
};

pub(super) const LIMITS: Shape = Shape {
    keys: &["cpu"],
    elsewhere: &[("memory", "", "the limit of memory is `spec.resources.memory`, reserved and enforced")],
    ..NONE
};

pub(super) const ROLLOUT: Shape = Shape {
    keys: &[
        "strategy",
        "maxSurge",
        "maxUnavailable",
        "healthyFor",
        "deadline",
        "drain",
        "onFailure",
        "keepRevisions",
    ],
    later: &["steps", "match", "sticky", "abortIf", "preview", "promote", "keepOld"],
    ..NONE
};

pub(super) const STOP: Shape = Shape { keys: &["signal", "grace"], ..NONE };

pub(super) const SECURITY: Shape = Shape {
    keys: &["user", "readOnlyRoot", "capAdd", "capDrop"],
    elsewhere: &[(
        "privileged",
        "capAdd",
        "containers are never privileged; add what is needed under `capAdd`",
    )],
    ..NONE
};

pub(super) const LOGGING: Shape = Shape { keys: &["maxSize", "maxFiles"], ..NONE };
