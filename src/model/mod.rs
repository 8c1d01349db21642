//! The words of the project, as types: what every other module speaks in.
//!
//! Purpose: one word per thing, the same in YAML, code, logs, `ctl` and docs (see `docs/GLOSSARY.md`).
//! Invariants: pure (no I/O, clock, randomness, async or logging) and imports nothing from this crate; ordered maps
//! only, so that plans, hashes and tables come out the same every time; what is stored is exactly what these types
//! serialise to.
//! Deliberately absent: decisions (`orchestrator`, `agent`), YAML (`manifest`), Docker's words (`engine::translate`).

mod author;
mod brake;
mod check;
mod condition;
mod described;
mod endpoint;
mod event;
mod halt;
mod health;
mod ids;
pub mod key;
mod latency;
mod nearest;
mod now;
mod outcome;
mod overrides;
mod policy;
mod problem;
mod quantity;
mod reach;
mod replica;
mod report;
mod revision;
mod rollout;
mod service;
mod spec;
mod table;
mod template;
mod trouble;
mod volume;

pub use author::Author;
pub use brake::{BRAKE_WINDOW, brake_lets_go};
pub use check::{LIMITS, SIGNALS, check_service, is_host_name};
pub use condition::{Condition, ConditionKind, Reason};
pub use endpoint::{Endpoint, EndpointId, EndpointState};
pub use event::{Event, EventKind, EventReason};
pub use halt::{Halt, HaltKind};
pub use health::{Check, Health};
pub use ids::{
    AppName, ContainerId, Epoch, Generation, HostId, NameError, ReplicaName, RevisionNumber, ServiceName,
    StoreId, TemplateHash,
};
pub use latency::{LATENCY_BOUNDS, LATENCY_BUCKETS, Latencies};
pub use nearest::nearest;
pub use now::{Mono, Now};
pub use outcome::{OutcomeRecord, RevisionOutcome};
pub use overrides::Override;
pub use policy::{OnFailure, RolloutPolicy, StopPolicy, Strategy};
pub use problem::Problem;
pub use quantity::{Cpu, Memory, Millis, NumberOrPercent, QuantityError};
pub use reach::{EngineKind, Reach};
pub use replica::{Cause, Desired, ImageRefusal, Phase, Replica, ReplicaStatus, WaitReason};
pub use report::{BalancerReport, EndpointStats, Incarnation, Refusal};
pub use revision::{Release, ResolvedImage, Revision};
pub use rollout::{Case, Failure, FailureReason, Rollout, RolloutState};
pub use service::{Metadata, Service};
pub use spec::{
    Balance, EnvField, EnvValue, Limits, Logging, Pace, Port, Protocol, Pull, Resources, Route, Security,
    ServiceSpec,
};
pub use table::{Pool, PoolEndpoint, RouteEntry, RoutingTable, TableName};
pub use template::{HASH_SCHEMA, Template};
pub use trouble::{CRASHES_TOGETHER, FailedProbe, Listener, ProbeAnswer, Seen, Trouble};
pub use volume::Volume;
