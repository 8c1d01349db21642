//! The volumes of all nodes, with the services that use them.

use super::handle::Nodes;
use crate::agent::{NodeVolume, VolumeSource};
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{NodeId, Service, ServiceName};

/// A volume with the services that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSnapshot {
    pub node: NodeId,
    pub volume: NodeVolume,
    /// Services that declare it; none for one that was kept when its service was deleted.
    pub services: Vec<ServiceName>,
}

impl Nodes {
    /// Lists the volumes; `names` selects those of services, none selects all.
    ///
    /// # Errors
    /// [`ControllerError`] if the store or the Engine is away.
    pub async fn volumes(&self, names: &[ServiceName]) -> Result<Vec<VolumeSnapshot>, ControllerError> {
        let services = ServiceState::services(self.store.as_ref()).await?;
        let volumes = self.links.volumes().await?;
        let snapshot = |(node, volume): (NodeId, NodeVolume)| {
            let users = services.iter().filter(|service| uses(service, &volume));
            let services = users.map(|service| service.name().clone()).collect();
            VolumeSnapshot { node, volume, services }
        };
        let is_wanted = |snapshot: &VolumeSnapshot| {
            names.is_empty() || snapshot.services.iter().any(|service| names.contains(service))
        };
        let mut found: Vec<VolumeSnapshot> = volumes.into_iter().map(snapshot).filter(is_wanted).collect();
        found.sort_by(|a, b| (&a.volume.name, &a.node).cmp(&(&b.volume.name, &b.node)));
        Ok(found)
    }
}

/// Whether a service uses a volume: declared by its manifest, or by an image that it has run.
fn uses(service: &Service, volume: &NodeVolume) -> bool {
    match &volume.source {
        VolumeSource::Manifest(name) => {
            service.metadata.app == volume.app
                && service.spec.volumes.iter().any(|own| own.name() == Some(name))
        }
        VolumeSource::Image { service: owner, .. } => service.name() == owner,
    }
}
