//! What the agent stores about its node. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::model::{AppName, ServiceName};

/// An app's network: the agent recreates it with the same subnet if it disappears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRecord {
    /// `10.209.3.0/24`.
    pub subnet: Ipv4Net,
    /// Addresses up to this place in the ring may have been handed out: a later run continues behind it.
    pub reserved: u64,
}

/// What the agent keeps over a restart: `agents/<node>/state`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeState {
    pub networks: BTreeMap<AppName, NetworkRecord>,
    /// Published ports up to this place in the ring may have been handed out; `None` if none ever was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<u64>,
    /// Tags of ours that protect images of stored revisions.
    pub tags: BTreeSet<String>,
    /// Names in Docker of volumes that containers have mounted, with the services that did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, BTreeSet<ServiceName>>,
}
