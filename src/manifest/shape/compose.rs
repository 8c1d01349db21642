//! Keys of Docker Compose: those of a service, and of the blocks within it. Pure.

use super::foreign_key::{ForeignKey, later, never, renamed, under};

const WINDOWS: &str = "only Windows containers have it";
const NETWORK: &str = "each app has its own network; remove this key";
const LINKS: &str = "services reach one another through routes; `env: {URL: {field: balancer.url}}` gives a container the URL";
const NO_TERMINAL: &str = "a service has no terminal; remove this key";
const SWAP: &str = "a container with `resources.memory` gets no swap; remove this key";
const NAMESPACE: &str = "each container has its own namespaces; remove this key";
const CGROUP: &str = "each container has its own cgroup; remove this key";
const LOG_DRIVER: &str =
    "logs are always kept by Docker's `json-file` driver; write `maxSize` and `maxFiles` under `logging`";

/// Keys of a service that are none of ours.
pub(super) const COMPOSE_SERVICE: &[ForeignKey] = &[
    under(
        "annotations",
        "labels",
        "write labels of the containers under `labels`, and notes for your own use under `metadata.annotations`",
    ),
    never("attach", "`ctl logs` shows the output; remove this key"),
    later("blkio_config", ""),
    under("build", "image", "images are not built here; build one and write its name under `image`"),
    renamed("cap_add", "security.capAdd"),
    renamed("cap_drop", "security.capDrop"),
    never("cgroup", CGROUP),
    never("cgroup_parent", CGROUP),
    later("configs", "until then put the file into the image or a volume"),
    never("container_name", "each replica has a name of its own, which Coxswain chooses; remove this key"),
    never("cpu_count", WINDOWS),
    under("cpu_percent", "limits.cpu", "write the most cores that a container can use as `limits.cpu`"),
    under("cpu_period", "limits.cpu", "write the most cores that a container can use as `limits.cpu`"),
    under("cpu_quota", "limits.cpu", "write the most cores that a container can use as `limits.cpu`"),
    never("cpu_rt_period", "real-time scheduling is not supported; remove this key"),
    never("cpu_rt_runtime", "real-time scheduling is not supported; remove this key"),
    under("cpu_shares", "resources.cpu", "write the cores to reserve as `resources.cpu`"),
    renamed("cpus", "limits.cpu"),
    later("cpuset", ""),
    never("credential_spec", WINDOWS),
    later("depends_on", "until then let the service retry until the other one answers"),
    never("deploy", "write `replicas`, `resources`, `limits` and `rollout` directly under `spec`"),
    never(
        "develop",
        "source files are not watched; build an image and roll it out with `ctl rollout NAME --image TAG`",
    ),
    later("device_cgroup_rules", ""),
    renamed("dns_opt", "dns.options"),
    renamed("dns_search", "dns.search"),
    under("domainname", "hostname", "write the full name as `hostname`"),
    under("env_file", "env", "files of variables are not read; write the variables under `env`, as a map"),
    under("environment", "env", "write environment variables under `env`, as a map"),
    under("expose", "ports", "write the ports of the container under `ports`"),
    never("extends", "a manifest does not extend another one; write the keys out"),
    never("external_links", LINKS),
    under("extra_hosts", "extraHosts", "write `extraHosts`, a map of names to addresses"),
    later("gpus", ""),
    renamed("group_add", "security.groups"),
    under("healthcheck", "health", "write the health check under `health`"),
    never("ipc", NAMESPACE),
    never("isolation", WINDOWS),
    under("label_file", "labels", "files of labels are not read; write the labels under `labels`, as a map"),
    never("links", LINKS),
    under("log_driver", "logging", LOG_DRIVER),
    under("log_opt", "logging", LOG_DRIVER),
    never("mac_address", "addresses of containers are chosen by Coxswain and Docker; remove this key"),
    under(
        "mem_limit",
        "resources.memory",
        "write the memory limit as `resources.memory`, with a unit such as `Mi`; it is reserved too",
    ),
    under(
        "mem_reservation",
        "resources.memory",
        "write the memory to reserve as `resources.memory`, with a unit such as `Mi`; it is the limit too",
    ),
    never("mem_swappiness", SWAP),
    never("memswap_limit", SWAP),
    never("models", "models are not managed here; run one as a service of its own"),
    never("net", NETWORK),
    never("network_mode", NETWORK),
    never("networks", NETWORK),
    never("oom_kill_disable", "a container above its `resources.memory` is always OOM-killed"),
    later("oom_score_adj", ""),
    never("pid", NAMESPACE),
    renamed("pids_limit", "pidsLimit"),
    never("platform", "the platform is that of the node; remove this key"),
    later("post_start", ""),
    never(
        "pre_stop",
        "a container is drained before its stop signal, see `rollout.drain`; handle the signal in the program",
    ),
    under(
        "privileged",
        "security.capAdd",
        "privileged containers are not supported; add the capabilities you need under `security.capAdd`",
    ),
    never("profiles", "apply only the files that you need; remove this key"),
    never("provider", "services of other providers are not managed here"),
    under("pull_policy", "pull", "write `pull`: `ifMissing`, `always` or `never`"),
    under("pull_refresh_after", "pull", "write `pull: always` to pull at every apply"),
    renamed("read_only", "security.readOnlyRoot"),
    never("restart", "containers that exit are always restarted"),
    later("runtime", ""),
    renamed("scale", "replicas"),
    later("secrets", "until then pass secrets in `env` or in a volume"),
    under(
        "security_opt",
        "security.noNewPrivileges",
        "write `security.noNewPrivileges`, which is set by default; other security options are not supported",
    ),
    under("shm_size", "shmSize", "write `shmSize`, with a unit such as `Mi`"),
    never("stdin_open", NO_TERMINAL),
    under("stop_grace_period", "stop.grace", "write `stop.grace`, a duration such as `30s`"),
    renamed("stop_signal", "stop.signal"),
    later("storage_opt", ""),
    never("tty", NO_TERMINAL),
    never("use_api_socket", "a container gets no access to Docker; remove this key"),
    renamed("user", "security.user"),
    never("userns_mode", NAMESPACE),
    never("uts", NAMESPACE),
    never("volume_driver", "volumes always use Docker's `local` driver; remove this key"),
    under(
        "volumes_from",
        "volumes",
        "services of one app share a volume if they use the same name under `volumes`",
    ),
    renamed("working_dir", "workingDir"),
];

/// Keys of `healthcheck`.
pub(super) const COMPOSE_HEALTHCHECK: &[ForeignKey] = &[
    under("disable", "none", "write `none: true` to disable the check"),
    under("retries", "unhealthyAfter", "write the number of failures under `unhealthyAfter`"),
    never("start_interval", "until its first success a check repeats at least every 200 ms; remove this key"),
    under(
        "start_period",
        "startWithin",
        "probes start immediately and repeat until `startWithin`, the most time that a container takes to start",
    ),
    under(
        "test",
        "exec",
        "write the command as a list under `exec`, without Docker's CMD in front; or check by `http`, `tcp` or `grpc`",
    ),
];

/// Keys of a volume in its long form, and of one at the top level.
pub(super) const COMPOSE_VOLUME: &[ForeignKey] = &[
    never("bind", "options of mounts are not supported; remove this key"),
    never("consistency", "only Docker Desktop for Mac had it; remove this key"),
    never("driver", "volumes always use Docker's `local` driver; remove this key"),
    never("driver_opts", "volumes always use Docker's `local` driver; remove this key"),
    never("external", "a volume that exists is not taken over: it gets a name of its own"),
    renamed("read_only", "readOnly"),
    under("source", "name", "write `name` for a named volume, or `hostPath` for a path of the node"),
    under("target", "path", "write the path in the container under `path`"),
    never("tmpfs", "write `tmpfs` directly under `spec`"),
    never("type", "`name` makes it a named volume, `hostPath` a path of the node; remove this key"),
    never("volume", "options of volumes are not supported; remove this key"),
];

/// Keys of a port in its long form.
pub(super) const COMPOSE_PORT: &[ForeignKey] = &[
    renamed("app_protocol", "protocol"),
    never("host_ip", "ports are not published on the node; clients use the service's `route`"),
    never("mode", "ports are not published on the node; clients use the service's `route`"),
    never("published", "ports are not published on the node; clients use the service's `route`"),
    under("target", "port", "write the port of the container under `port`"),
];

/// Keys of `logging`.
pub(super) const COMPOSE_LOGGING: &[ForeignKey] = &[
    never("driver", "logs are always kept by Docker's `json-file` driver; remove this key"),
    renamed("max-file", "maxFiles"),
    renamed("max-size", "maxSize"),
    never("options", "write `maxSize` and `maxFiles` directly under `logging`"),
];

/// Keys of `deploy.resources`.
pub(super) const COMPOSE_RESOURCES: &[ForeignKey] = &[
    renamed("cpus", "cpu"),
    later("devices", ""),
    later("generic_resources", ""),
    never("pids", "write `pidsLimit` directly under `spec`"),
    never("reservations", "write `cpu` and `memory` directly under `resources`"),
];

/// Keys of `deploy.resources.limits`.
pub(super) const COMPOSE_LIMITS: &[ForeignKey] = &[
    renamed("cpus", "cpu"),
    never("memory", "write the memory limit as `spec.resources.memory`, which is reserved and enforced"),
    never("pids", "write `pidsLimit` directly under `spec`"),
];

/// Keys of `deploy.update_config` and `rollback_config`.
pub(super) const COMPOSE_UPDATE: &[ForeignKey] = &[
    under("delay", "healthyFor", "write how long a new replica must be available as `healthyFor`"),
    under("failure_action", "onFailure", "write `onFailure`: `rollback` or `pause`"),
    never("max_failure_ratio", "a rollout fails with its first replica that cannot become healthy"),
    under("monitor", "healthyFor", "write how long a new replica must be available as `healthyFor`"),
    under(
        "order",
        "maxSurge",
        "`maxSurge: 1` starts first; `maxSurge: 0` with `maxUnavailable: 1` stops first",
    ),
    under(
        "parallelism",
        "maxSurge",
        "write how many replicas are replaced at once as `maxSurge` and `maxUnavailable`",
    ),
];
