//! The keys of each block with their value types and descriptions; keys that a later version brings, and keys of other tools.
//!
//! Purpose: one table that the reader checks keys against, and from which `ctl explain`, the reference page and the JSON
//! Schema are generated. A key cannot be read without a description.
//! Invariants: a key of a later version is refused, never ignored: a manifest that asks for a secret must not run
//! without one. Tests read every example, and every default as if it were written.

mod compose;
mod container;
mod envelope;
mod foreign_key;
mod kubernetes;
mod options;
mod policy;
mod route;
mod schema_node;
mod service;
mod tls;
mod traffic;

pub(super) use container::*;
pub use envelope::API_VERSION;
pub(super) use envelope::*;
pub use foreign_key::{ForeignAnswer, ForeignKey};
pub(super) use options::{DNS, TMPFS_SHAPE, ULIMIT};
pub(super) use policy::*;
pub(super) use route::*;
pub(super) use schema_node::TEXT;
pub use schema_node::{DefaultValue, EnumValues, KeyRule, SchemaKey, SchemaNode, ValueType};
pub(super) use service::*;
pub(super) use tls::{HSTS, ROUTE_TLS, TLS_WORD};
pub(super) use traffic::*;
