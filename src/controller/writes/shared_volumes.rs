//! Volumes that are deleted with a service must not be another service's as well.

use super::handle::Writes;
use crate::controller::error::ControllerError;
use crate::controller::shared_volumes::{declares, others_of_app};
use crate::model::{Service, ServiceName, key};

impl Writes {
    /// Refuses to delete volumes that a service outside of `names` declares as well.
    pub(super) async fn check_volumes_unshared(&self, names: &[ServiceName]) -> Result<(), ControllerError> {
        for name in names {
            let Some(service) = self.store.get(&key::service(name)).await? else { continue };
            let service: Service = service.decode()?;
            for other in others_of_app(self.store.as_ref(), &service, names).await? {
                let shared = service.spec.volumes.iter().find(|volume| declares(&other, &volume.name));
                if let Some(volume) = shared {
                    return Err(ControllerError::VolumeShared {
                        volume: volume.name.clone(),
                        service: name.clone(),
                        by: other.name().clone(),
                    });
                }
            }
        }
        Ok(())
    }
}
