//! Nodes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::controller::{AgentState, EngineInfo, EngineState, NodeSnapshot};
use crate::model::{EngineKind, ExposureMode, NodeId};

/// A machine with a Docker Engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeObject {
    /// The Engine's id.
    pub id: NodeId,
    pub name: String,
    /// Version and API version of the Engine, or why it cannot be used.
    pub engine: String,
    /// Whether the Engine answers.
    pub available: bool,
    /// `None` while the Engine does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EngineKind>,
    /// How new containers are reached; `None` before that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<ExposureMode>,
    /// Limits that its Engine accepts and does not enforce: `memory`, `cpu`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unenforced: Vec<String>,
    /// Number of its containers.
    pub containers: u32,
    /// Names in Docker of volumes that held data and no longer exist: replicas wait for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing_volumes: BTreeSet<String>,
}

impl From<NodeSnapshot> for NodeObject {
    fn from(snapshot: NodeSnapshot) -> Self {
        let NodeSnapshot { id, state } = snapshot;
        let AgentState { engine, exposure, containers, missing_volumes, .. } = state;
        let info = match &engine {
            EngineState::Available(info) => Some(info),
            EngineState::Unavailable(_) | EngineState::Unknown => None,
        };
        Self {
            id,
            name: info.map(|info| info.name.clone()).unwrap_or_default(),
            engine: engine_text(&engine),
            available: info.is_some(),
            kind: info.map(|info| info.kind),
            exposure,
            unenforced: info.iter().flat_map(|info| &info.unenforced).map(ToString::to_string).collect(),
            containers,
            missing_volumes,
        }
    }
}

/// `Docker 20.10.24 (API 1.41), rootless`.
fn engine_text(engine: &EngineState) -> String {
    let EngineInfo { version, api_version, kind, .. } = match engine {
        EngineState::Available(info) => info,
        EngineState::Unavailable(error) => return error.to_string(),
        EngineState::Unknown => return "not asked yet".to_owned(),
    };
    let kind = match kind {
        EngineKind::Native => "",
        EngineKind::Rootless => ", rootless",
        EngineKind::Desktop => ", of Docker Desktop",
    };
    format!("Docker {version} (API {api_version}){kind}")
}
