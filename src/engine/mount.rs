//! Volumes of the Engine, and what a container mounts. Pure.

use std::collections::BTreeMap;

use super::error::EngineError;

/// A named volume to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub volume: VolumeSpec,
    /// Absolute path in the container.
    pub path: String,
    pub read_only: bool,
}

/// A path of the node in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// Absolute path of the node.
    pub source: String,
    /// Absolute path in the container.
    pub path: String,
    pub read_only: bool,
}

/// A volume as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

impl ObservedVolume {
    /// Refuses a volume of the same name that has other labels.
    pub(super) fn check_is(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        if spec.labels.iter().all(|(label, value)| self.labels.get(label) == Some(value)) {
            return Ok(());
        }
        let message =
            format!("volume {} exists and does not belong to this service's app and daemon", self.name);
        Err(EngineError::Invalid { message })
    }
}
