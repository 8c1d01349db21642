//! Keys of Kubernetes: those of a pod, a container and a workload, and of the blocks within them. Pure.

use super::foreign_key::{ForeignKey, later, never, renamed, under};

const NODES: &str = "there is one node; remove this key";
const ACCOUNTS: &str = "there are no service accounts; remove this key";
const NAMESPACES: &str = "each container has its own namespaces; remove this key";
const NOT_PUBLISHED: &str = "ports are not published on the node; clients use the service's `route`";
const MESSAGES: &str = "the last log lines of a failed container are shown; remove this key";
const NO_TERMINAL: &str = "a service has no terminal; remove this key";
const SCHEDULING: &str = "replicas are not scheduled by priority; remove this key";
const LSM: &str = "Docker's default profile is used; remove this key";

/// Keys of a pod spec that are none of ours.
pub(super) const POD: &[ForeignKey] = &[
    never("activeDeadlineSeconds", "a service runs forever; remove this key"),
    never("affinity", NODES),
    never("automountServiceAccountToken", ACCOUNTS),
    under("containers", "image", "a replica is one container; write its `image` directly under `spec`"),
    under("dnsConfig", "dns", "write `servers`, `search` and `options` under `dns`"),
    under("dnsPolicy", "dns", "names are resolved by the servers of the node, or by those under `dns`"),
    never("enableServiceLinks", "no variables about other services are set; remove this key"),
    never("ephemeralContainers", "a replica is one container; remove this key"),
    under("hostAliases", "extraHosts", "write `extraHosts`, a map of names to addresses"),
    never("hostIPC", NAMESPACES),
    never("hostNetwork", "each app has its own network; remove this key"),
    never("hostPID", NAMESPACES),
    never("hostUsers", NAMESPACES),
    renamed("hostnameOverride", "hostname"),
    never("imagePullSecrets", "images are pulled with the daemon's own `docker login`; remove this key"),
    later("initContainers", "until then let the container's `entrypoint` prepare what it needs"),
    never("nodeName", NODES),
    never("nodeSelector", NODES),
    never("os", "the platform is that of the node; remove this key"),
    never("overhead", "write what a replica needs under `resources`"),
    never("preemptionPolicy", SCHEDULING),
    never("priority", SCHEDULING),
    never("priorityClassName", SCHEDULING),
    under("readinessGates", "health", "readiness is decided by `health` alone"),
    later("resourceClaims", ""),
    never("restartPolicy", "containers that exit are always restarted"),
    later("runtimeClassName", ""),
    never("schedulerName", SCHEDULING),
    never("schedulingGates", SCHEDULING),
    under(
        "securityContext",
        "security",
        "write `user`, `readOnlyRoot`, `capAdd` and `capDrop` under `security`",
    ),
    never("serviceAccount", ACCOUNTS),
    never("serviceAccountName", ACCOUNTS),
    under("setHostnameAsFQDN", "hostname", "write the full name as `hostname`"),
    never("shareProcessNamespace", "a replica is one container; remove this key"),
    under("subdomain", "hostname", "write the full name as `hostname`"),
    under(
        "terminationGracePeriodSeconds",
        "stop.grace",
        "write `stop.grace`, a duration with a unit such as `30s`",
    ),
    never("tolerations", NODES),
    never("topologySpreadConstraints", NODES),
    never("workloadRef", SCHEDULING),
];

/// Keys of a container that are none of ours and not in [`POD`].
pub(super) const CONTAINER: &[ForeignKey] = &[
    under(
        "args",
        "command",
        "write arguments under `command` (Docker's CMD), and the command itself under `entrypoint` (Docker's ENTRYPOINT)",
    ),
    under("envFrom", "env", "write the variables out under `env`, as a map"),
    under("imagePullPolicy", "pull", "write `pull`: `ifMissing`, `always` or `never`"),
    never(
        "lifecycle",
        "a container is drained before its stop signal, see `rollout.drain`; handle the signal in the program",
    ),
    never("livenessProbe", "liveness checks are not supported yet; `health` only decides about traffic"),
    never("name", "write the name under `metadata`"),
    under("readinessProbe", "health", "write the health check under `health`"),
    never("resizePolicy", "a change of `resources` is rolled out; remove this key"),
    never("restartPolicyRules", "containers that exit are always restarted"),
    under(
        "startupProbe",
        "health.startWithin",
        "write the most time that a container takes to start as `health.startWithin`",
    ),
    never("stdin", NO_TERMINAL),
    never("stdinOnce", NO_TERMINAL),
    never("terminationMessagePath", MESSAGES),
    never("terminationMessagePolicy", MESSAGES),
    later("volumeDevices", ""),
    under("volumeMounts", "volumes", "write volumes with their mount path under `volumes`"),
];

/// Keys of a Deployment, StatefulSet or Service of Kubernetes that are none of ours.
pub(super) const WORKLOAD: &[ForeignKey] = &[
    never("clusterIP", "clients use the service's `route`; remove this key"),
    never("externalTrafficPolicy", "clients use the service's `route`; remove this key"),
    never("loadBalancerIP", "clients use the service's `route`; remove this key"),
    under("minReadySeconds", "rollout.healthyFor", "write `rollout.healthyFor`, a duration such as `10s`"),
    under("paused", "rollout", "`ctl pause` and `ctl resume` pause and resume a rollout; remove this key"),
    never("persistentVolumeClaimRetentionPolicy", "volumes are kept until `ctl delete --volumes`"),
    never("podManagementPolicy", "replicas start together; remove this key"),
    under("progressDeadlineSeconds", "rollout.deadline", "write `rollout.deadline`, a duration such as `5m`"),
    renamed("revisionHistoryLimit", "rollout.keepRevisions"),
    never("selector", "there are no selectors; a service owns its replicas"),
    never("serviceName", "clients use the service's `route`; remove this key"),
    later("sessionAffinity", ""),
    under("strategy", "rollout", "write the strategy under `rollout`"),
    under("template", "image", "there is no pod template; write `image` directly under `spec`"),
    never("type", "clients use the service's `route`; remove this key"),
    under("updateStrategy", "rollout", "write the strategy under `rollout`"),
    under("volumeClaimTemplates", "volumes", "write `volumes` with `perReplica: true`"),
];

/// Keys of a probe.
pub(super) const PROBE: &[ForeignKey] = &[
    under("command", "exec", "write the command as a list under `exec`"),
    under("failureThreshold", "unhealthyAfter", "write the number under `unhealthyAfter`"),
    under("httpGet", "http", "write the path under `http`"),
    under("httpHeaders", "headers", "write `headers`, a map of names to values"),
    under("initialDelaySeconds", "startWithin", "probes start immediately and repeat until `startWithin`"),
    under("path", "http", "write the path under `http`"),
    under("periodSeconds", "interval", "write a duration with a unit under `interval`"),
    never("scheme", "checks use HTTP without TLS; remove this key"),
    under("successThreshold", "healthyAfter", "write the number under `healthyAfter`"),
    under("tcpSocket", "tcp", "write `tcp: true`, and the port's name under `port`"),
    never("terminationGracePeriodSeconds", "write `grace` under `spec.stop`"),
    under("timeoutSeconds", "timeout", "write a duration with a unit under `timeout`"),
];

/// Keys of a volume and of its mount.
pub(super) const MOUNT: &[ForeignKey] = &[
    never("configMap", "files from a Config are not supported yet; put the file into the image"),
    never("csi", "volumes always use Docker's `local` driver"),
    under("destination", "path", "write the path in the container under `path`"),
    never("downwardAPI", "write `env: {NAME: {field: replica.name}}` for what a container knows of itself"),
    never("emptyDir", "write `tmpfs` under `spec` for files in memory; other files need no volume"),
    never("ephemeral", "volumes outlive the containers; remove this key"),
    later("image", ""),
    under("mountPath", "path", "write the path in the container under `path`"),
    never("mountPropagation", "mounts are private; remove this key"),
    later("nfs", ""),
    under("persistentVolumeClaim", "name", "there are no claims; the `name` of the volume is enough"),
    never("projected", "files from a Secret or Config are not supported yet; put the file into the image"),
    never("recursiveReadOnly", "`readOnly: true` leaves mounts below a host path as they are"),
    never("secret", "files from a Secret are not supported yet; write the file into the volume"),
    later("subPath", ""),
    later("subPathExpr", ""),
];

/// Keys of a port of a container or of a Service.
pub(super) const CONTAINER_PORT: &[ForeignKey] = &[
    renamed("appProtocol", "protocol"),
    under("containerPort", "port", "write the port of the container under `port`"),
    never("hostIP", NOT_PUBLISHED),
    never("nodePort", NOT_PUBLISHED),
    under(
        "targetPort",
        "port",
        "write the port of the container under `port`; ports are not published on the node",
    ),
];

/// Keys of a security context, of a pod or a container.
pub(super) const SECURITY_CONTEXT: &[ForeignKey] = &[
    under("allowPrivilegeEscalation", "noNewPrivileges", "write `noNewPrivileges: false` to allow it"),
    never("appArmorProfile", LSM),
    under("capabilities", "capAdd", "write `capAdd` and `capDrop` directly under `security`"),
    under("cap_add", "capAdd", "write `capAdd`"),
    under("cap_drop", "capDrop", "write `capDrop`"),
    never("fsGroup", "a new volume belongs to the user that owns the path in the image"),
    never("fsGroupChangePolicy", "a new volume belongs to the user that owns the path in the image"),
    under(
        "privileged",
        "capAdd",
        "privileged containers are not supported; add the capabilities you need under `capAdd`",
    ),
    never("procMount", LSM),
    renamed("readOnlyRootFilesystem", "readOnlyRoot"),
    renamed("read_only", "readOnlyRoot"),
    under("runAsGroup", "user", "write user and group together: `user: \"1000:1000\"`"),
    under("runAsNonRoot", "user", "write the user under `user`; it is not checked whether it is root"),
    renamed("runAsUser", "user"),
    never("seLinuxChangePolicy", LSM),
    never("seLinuxOptions", LSM),
    never("seccompProfile", LSM),
    renamed("supplementalGroups", "groups"),
    never("supplementalGroupsPolicy", "the groups of the image's user are kept; remove this key"),
    never("sysctls", "write `sysctls` directly under `spec`"),
    never("windowsOptions", "only Windows containers have it"),
];

/// Keys of `resources`.
pub(super) const CONTAINER_RESOURCES: &[ForeignKey] = &[
    later("claims", ""),
    never("ephemeral-storage", "disk space is not limited; remove this key"),
    never("limits", "`memory` is also the hard limit; write a CPU limit under `spec.limits`"),
    never("requests", "write `cpu` and `memory` directly under `resources`"),
];

/// Keys of a strategy of a Deployment, and of what belongs to it.
pub(super) const DEPLOYMENT_STRATEGY: &[ForeignKey] = &[
    renamed("minReadySeconds", "healthyFor"),
    never("partition", "a rollout always replaces every replica; `ctl pause` stops it half-way"),
    renamed("progressDeadlineSeconds", "deadline"),
    renamed("revisionHistoryLimit", "keepRevisions"),
    never("rollingUpdate", "write `maxSurge` and `maxUnavailable` directly under `rollout`"),
    under("type", "strategy", "write `strategy: rolling`"),
];

/// Keys of what ends a container.
pub(super) const POD_STOP: &[ForeignKey] = &[
    never("preStop", "a container is drained before its stop signal; handle the signal in the program"),
    renamed("stopSignal", "signal"),
    renamed("stop_grace_period", "grace"),
    renamed("stop_signal", "signal"),
    under("terminationGracePeriodSeconds", "grace", "write `grace`, a duration with a unit such as `30s`"),
];

/// Keys of a value of the environment.
pub(super) const ENV_SOURCE: &[ForeignKey] = &[
    later("configMapKeyRef", ""),
    under("fieldRef", "field", "write `field`, such as `{field: replica.name}`"),
    under("fieldPath", "field", "write `field`, such as `{field: replica.name}`"),
    later("fileKeyRef", ""),
    later("resourceFieldRef", ""),
    later("secretKeyRef", ""),
    never("value", "write the value directly, as text: `NAME: value`"),
    under(
        "valueFrom",
        "field",
        "write `{field: …}` directly; values from a Secret or Config are not supported yet",
    ),
];

/// Keys of an object's metadata, as `kubectl get -o yaml` prints them.
pub(super) const OBJECT_META: &[ForeignKey] = &[
    never("creationTimestamp", "Kubernetes writes it; remove this key"),
    never("deletionGracePeriodSeconds", "Kubernetes writes it; remove this key"),
    never("deletionTimestamp", "Kubernetes writes it; remove this key"),
    never("finalizers", "there are no finalizers; remove this key"),
    under("generateName", "name", "names are not generated; write `name`"),
    never("labels", "write labels of the containers under `spec.labels`"),
    never("managedFields", "Kubernetes writes it; remove this key"),
    under("namespace", "app", "there are no namespaces; group services with `app`"),
    never("ownerReferences", "Kubernetes writes it; remove this key"),
    never("resourceVersion", "Kubernetes writes it; remove this key"),
    never("selfLink", "Kubernetes writes it; remove this key"),
];

/// Keys of a rule of an Ingress or HTTPRoute.
pub(super) const INGRESS_RULE: &[ForeignKey] = &[
    never("backend", "a route leads to the service that it is written in; remove this key"),
    under("hostnames", "host", "write one route for each host"),
    never("http", "write `host` and `path` directly in the route"),
    never("parentRefs", "every `--http` listener serves every route; remove this key"),
    never(
        "pathType",
        "a path matches as a prefix, on whole segments; write `exact: true` for the path alone",
    ),
    never("paths", "write one route for each path"),
];
