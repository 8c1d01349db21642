//! The vocabulary of the project, as types that every other module uses. Pure.
//!
//! Purpose: one word per thing, the same in YAML, code, logs, `ctl` and docs (see `docs/GLOSSARY.md`).
//! Invariants: no I/O, clock, randomness, async or logging, and no import from this crate; ordered maps
//! only, so that plans, hashes and tables come out the same every time; what is stored is exactly what these types
//! serialise to.
//! Deliberately absent: decisions (`orchestrator`, `agent`), YAML (`manifest`), Docker's types (`engine::translate`).

#[cfg(test)]
pub(crate) mod arbitrary;
mod author;
mod backoff;
mod balancer_reports;
mod certificate_state;
mod check;
pub mod command_form;
mod condition;
mod container_check;
mod container_options;
mod cut_requests;
mod deletion_guard;
mod described;
mod diagnosis;
mod diagnosis_hint;
mod endpoint;
mod event;
mod exit_code;
mod exposure;
#[cfg(any(test, feature = "testing"))]
mod gadget;
mod gateway_check;
mod hash;
mod header_text;
mod health;
mod health_check;
mod host_name;
mod host_paths;
mod ids;
mod image_config;
pub mod image_reference;
mod instability;
mod intervention;
mod io_error_text;
pub mod key;
mod latency;
mod listener;
mod listening_socket;
mod lookalike;
mod nearest;
mod now;
mod object;
mod outcome;
mod overrides;
mod pace;
mod password_hash;
mod permanence;
mod policy;
mod port_check;
mod problem;
mod process;
mod quantity;
mod redirect;
mod reload;
mod replica;
mod replica_history;
mod report;
mod revision;
mod rollout;
mod route;
mod route_check;
mod route_filter_check;
mod route_filters;
mod route_match;
mod sanitize;
mod scale_target;
mod security;
mod service;
mod spec;
mod spec_limits;
mod table;
mod tcp_listen;
mod template;
mod tls;
mod tls_check;
mod traffic;
mod trial;
mod trusted_proxies;
mod volume;
mod whole_seconds;

pub use author::Author;
pub use backoff::Backoff;
pub use balancer_reports::{BalancerLag, BalancerProcess, BalancerReports};
pub use certificate_state::CertificateState;
pub use check::{SIGNALS, check_service};
pub use condition::{Condition, ConditionKind, Reason};
pub use container_check::ULIMITS;
pub use container_options::{
    ContainerOptions, Dns, GatewayWord, HostAddress, PIDS_LIMIT, TMP, TMPFS_SIZE, Tmpfs, Ulimit, UlimitValue,
    UnlimitedWord,
};
pub use cut_requests::{CutByRollout, CutRequests, RolloutCuts};
pub use deletion_guard::RecentDeletions;
pub use diagnosis::{CRASHES_TOGETHER, Diagnosis, Evidence, FailedProbe, NotReadyCause, ProbeAnswer};
pub use endpoint::{Endpoint, EndpointId, EndpointOrigin, EndpointState, EndpointVia, OriginName};
pub use event::{Event, EventKind, EventReason};
pub use exit_code::signal_of;
pub use exposure::{EngineKind, ExposureMode};
#[cfg(any(test, feature = "testing"))]
pub use gadget::{Gadget, GadgetSpec};
pub use gateway_check::{GATEWAY_CHECK_COMMAND, GATEWAY_CONNECT_MAX, GatewayAnswer};
pub use hash::sha256_hex;
pub use header_text::is_token;
pub use health::{Health, HealthCheck};
pub use host_name::is_host_name;
pub use host_paths::HostPathPolicy;
pub use ids::{
    AppName, BalancerId, ContainerId, Epoch, Generation, ListenerId, NameError, NodeId, ReplicaName,
    RevisionNumber, ServiceName, StoreId, TemplateHash,
};
pub use image_config::{ImageConfig, ImageVolume, volume_path};
pub use instability::Instability;
pub use intervention::{InterventionKind, RolloutIntervention};
pub use io_error_text::io_error_text;
pub use latency::{LATENCY_BOUNDS, LATENCY_BUCKETS, Latencies};
pub use listener::{Listener, ListenerProtocol, ListenerScope, ProtocolKind, TcpWaits};
pub use listening_socket::ListeningSocket;
pub use lookalike::{Lookalike, is_invisible, lookalike, lookalike_name};
pub use nearest::nearest;
pub use now::{Mono, Now};
pub use object::{
    ClaimConflict, ObjectKind, ObjectRef, ObjectRefError, ObjectSpec, TrafficClaim, claim_conflicts,
};
pub use outcome::{OutcomeRecord, RevisionOutcome};
pub use overrides::Override;
pub use pace::Pace;
pub use password_hash::{
    BCRYPT_COST_MAX, BadPasswordHash, PasswordHashForm, SHA_CRYPT_ROUNDS_MAX, check_hash,
};
pub use policy::{OnFailure, RolloutPolicy, StopPolicy, Strategy};
pub use problem::Problem;
pub use process::{ContainerProcess, NothingToRun};
pub use quantity::{Cpu, MemorySize, Millis, NumberOrPercent, QuantityError};
pub use redirect::RedirectAction;
pub use reload::{
    DaemonProcess, DaemonProcesses, DaemonRole, ProcessState, ReloadOutcome, ReloadRefusal, ReloadReport,
    ReloadStep,
};
pub use replica::{Cause, Desired, Replica, ReplicaPhase, ReplicaStatus};
pub use replica_history::{LastExit, PREVIOUS_KEPT_FOR, REPEATS, ReplicaHistory};
pub use report::{
    BalancerReport, ConnectionStats, EndpointStats, Incarnation, RevisionStats, ServiceStats, TableRejection,
};
pub use revision::{DEFAULT_STOP_SIGNAL, Release, ResolvedImage, Revision};
pub use rollout::{FailedReplica, FailureReason, Rollout, RolloutDirection, RolloutFailure, RolloutState};
pub use route::Route;
pub use route_filters::{BasicAuth, HeaderEdits, RouteFilters};
pub use route_match::{HostPattern, HostPatternError, PathMatch, RouteCondition, RouteMatch};
pub use sanitize::{escape_control, sanitize};
pub use scale_target::{ScaleError, ScaleTarget};
pub use security::Security;
pub use service::{Metadata, Service};
pub use spec::{
    Balance, ContainerLimits, EnvField, EnvValue, Logging, Port, Protocol, Pull, Resources, ServiceSpec,
};
pub use spec_limits::{LIMITS, SpecLimits};
pub use table::{
    ForwardAction, RouteAction, RouteHttps, RouteWaits, RoutingTable, TableEndpoint, TableName, TableRoute,
    TableService, WeightedBackend,
};
pub use tcp_listen::{TcpListen, claim_phrase};
pub use template::{HASH_SCHEMA, Template};
pub use tls::{
    AutoWord, CertificateSource, Hsts, PrivateKeyPem, RouteTls, TlsCertificate, is_private_host, pattern_for,
};
pub use traffic::{RevisionPin, Traffic};
pub use trial::Trial;
pub use trusted_proxies::{BadRange, NamedClient, TrustedProxies};
pub use volume::{Volume, VolumeOrigin};
