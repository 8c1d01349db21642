//! The link to each node's agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{DoomedVolumes, EngineError, NodeRequests, NodeVolume, VolumeRemovalError};
use crate::model::{NodeId, Pull, ResolvedImage};

/// Sends requests to the agents.
pub(in crate::controller) struct NodeLinks {
    links: BTreeMap<NodeId, Arc<dyn NodeRequests>>,
    /// Resolves images.
    first: Arc<dyn NodeRequests>,
}

impl NodeLinks {
    pub(in crate::controller) fn of_one(node: NodeId, link: Arc<dyn NodeRequests>) -> Self {
        Self { links: BTreeMap::from([(node, Arc::clone(&link))]), first: link }
    }

    /// `None` for a node that is not connected.
    pub(super) fn get(&self, node: &NodeId) -> Option<&dyn NodeRequests> {
        self.links.get(node).map(AsRef::as_ref)
    }

    /// Resolves an image; it is the same one on every node.
    pub(in crate::controller) async fn resolve_image(
        &self,
        image: &str,
        pull: Pull,
    ) -> Result<ResolvedImage, EngineError> {
        self.first.resolve_image(image, pull).await
    }

    /// Whether containers may mount a path, on every node.
    pub(in crate::controller) async fn check_host_path(&self, path: &str) -> Result<(), String> {
        for link in self.links.values() {
            link.check_host_path(path).await?;
        }
        Ok(())
    }

    /// Lists the volumes of every node.
    pub(in crate::controller) async fn volumes(&self) -> Result<Vec<(NodeId, NodeVolume)>, EngineError> {
        let mut found = Vec::new();
        for (node, link) in &self.links {
            found.extend(link.volumes().await?.into_iter().map(|volume| (node.clone(), volume)));
        }
        Ok(found)
    }

    /// Removes volumes from every node.
    pub(in crate::controller) async fn remove_volumes(
        &self,
        doomed: &DoomedVolumes,
    ) -> Result<(), VolumeRemovalError> {
        for link in self.links.values() {
            link.remove_volumes(doomed).await?;
        }
        Ok(())
    }
}
