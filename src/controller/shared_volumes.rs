//! Which services of an app share a volume.

use super::Controller;
use super::error::ControllerError;
use super::service_state::ServiceState;
use crate::model::{Service, ServiceName, key};
use crate::store::{Store, StoreError};

/// Services of the same app that stay, except these.
pub(super) async fn others_of_app(
    store: &dyn Store,
    service: &Service,
    except: &[ServiceName],
) -> Result<Vec<Service>, StoreError> {
    let mut others = Vec::new();
    for name in ServiceState::names(store).await? {
        let Some(entry) = store.get(&key::service(&name)).await? else { continue };
        let other: Service = entry.decode()?;
        let same_app = other.metadata.app == service.metadata.app;
        if same_app && other.deleted_at.is_none() && !except.contains(&name) && name != *service.name() {
            others.push(other);
        }
    }
    Ok(others)
}

pub(super) fn declares(service: &Service, volume: &str) -> bool {
    service.spec.volumes.iter().any(|declared| declared.name == volume)
}

impl Controller {
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
