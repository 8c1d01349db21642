//! Volumes.

use serde::{Deserialize, Serialize};

use crate::controller::{NodeVolume, VolumeSnapshot, VolumeSource};
use crate::model::{AppName, NodeId, ServiceName};

/// A volume on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeObject {
    /// Its name in Docker.
    pub name: String,
    pub app: AppName,
    pub node: NodeId,
    /// Its name in manifests; `None` for a VOLUME of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Where the image declares it; `None` for a volume of a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_path: Option<String>,
    /// Services that use it; none for one that was kept when its service was deleted.
    pub services: Vec<ServiceName>,
}

impl From<VolumeSnapshot> for VolumeObject {
    fn from(snapshot: VolumeSnapshot) -> Self {
        let VolumeSnapshot { node, volume: NodeVolume { name, app, source }, services } = snapshot;
        let (volume, image_path) = match source {
            VolumeSource::Manifest(volume) => (Some(volume), None),
            VolumeSource::Image { path, .. } => (None, Some(path)),
        };
        Self { name, app, node, volume, image_path, services }
    }
}
