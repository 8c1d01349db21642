//! Kinds of Kubernetes, and what takes their place here. Pure.

const DISRUPTION: &str = "write `rollout.maxUnavailable` in the Service";
const FOREVER: &str = "a Service runs forever, so `docker run` is the way for a task that ends";
const ACCOUNTS: &str = "there are no accounts or roles: access is by the permissions of the daemon's socket";
const VOLUMES: &str = "write `volumes` in the Service: a volume is created with its first replica";
const ROUTE: &str = "write `route: host/path` in the Service that it leads to";
const EDGE: &str =
    "the balancer is part of `ctl serve`: `--http` sets its addresses, and a Service its `route`";

/// Kinds of Kubernetes, each with what to use instead.
pub const FOREIGN_KINDS: &[(&str, &str)] = &[
    ("ClusterRole", ACCOUNTS),
    ("ClusterRoleBinding", ACCOUNTS),
    ("ConfigMap", "a Config is not supported yet: write variables under `env` of the Service"),
    ("CronJob", FOREVER),
    ("CustomResourceDefinition", "there are no custom kinds"),
    ("DaemonSet", "write `kind: Service`; one replica per node is not supported yet"),
    ("Deployment", "write `kind: Service` with `image`, `replicas` and `port` directly under `spec`"),
    ("EndpointSlice", "endpoints are managed by Coxswain; write a Service"),
    ("Endpoints", "endpoints are managed by Coxswain; write a Service"),
    ("GRPCRoute", ROUTE),
    ("Gateway", EDGE),
    ("GatewayClass", EDGE),
    ("HTTPRoute", ROUTE),
    ("HorizontalPodAutoscaler", "replicas are not scaled automatically: `ctl scale NAME=3`"),
    ("Ingress", ROUTE),
    ("IngressClass", EDGE),
    ("Job", FOREVER),
    ("LimitRange", "write `resources` and `limits` in each Service"),
    ("Namespace", "there are no namespaces: group services with `metadata.app`"),
    ("NetworkPolicy", "each app has its own network; write `metadata.app`"),
    ("PersistentVolume", VOLUMES),
    ("PersistentVolumeClaim", VOLUMES),
    ("Pod", "write `kind: Service` with `image` directly under `spec`"),
    ("PodDisruptionBudget", DISRUPTION),
    ("PriorityClass", "replicas are not scheduled by priority"),
    ("ReplicaSet", "write `kind: Service`; it creates its revisions and replicas"),
    ("ReplicationController", "write `kind: Service`; it creates its revisions and replicas"),
    ("ResourceQuota", "write `resources` and `limits` in each Service"),
    ("Role", ACCOUNTS),
    ("RoleBinding", ACCOUNTS),
    ("Secret", "a Secret is not supported yet: pass secrets under `env` of the Service or in a volume"),
    ("Service", "a Service of Coxswain is the workload with its `port` and `route` in one document"),
    ("ServiceAccount", ACCOUNTS),
    ("StatefulSet", "write `kind: Service`; `volumes` with `perReplica: true` give each replica its own"),
    ("StorageClass", VOLUMES),
    ("VerticalPodAutoscaler", "write `resources` in the Service"),
];

/// What to use instead of a kind of Kubernetes; `None` for any other word.
pub(super) fn instead(kind: &str) -> Option<&'static str> {
    FOREIGN_KINDS.iter().find(|(word, _)| *word == kind).map(|(_, answer)| *answer)
}
