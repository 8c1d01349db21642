//! Volumes of a service: who shares them, and their end, which comes only where the user named them.

use std::collections::BTreeSet;

use super::Controller;
use super::read::Stored;
use super::refused::Refused;
use crate::engine::{EngineError, LABEL_APP, LABEL_STORE, LABEL_VOLUME, ObservedVolume};
use crate::model::{Service, ServiceName, StoreId, Volume, key};

/// Names in Docker of the volumes that a service declares, for the slots it wants.
pub(crate) fn docker_names(service: &Service, store: &StoreId) -> Vec<String> {
    let slots = |volume: &Volume| if volume.per_replica { service.spec.replica_count() } else { 1 };
    let names = |volume: &Volume| {
        let (volume, app) = (volume.clone(), service.metadata.app.clone());
        (1..=slots(&volume)).map(move |slot| volume.docker_name(&app, slot, store))
    };
    service.spec.volumes.iter().flat_map(names).collect()
}

impl Controller {
    /// Refuses to delete volumes that a service outside of `names` declares as well.
    pub(crate) async fn check_volumes_unshared(&self, names: &[ServiceName]) -> Result<(), Refused> {
        for name in names {
            let Some(service) = self.store.get(&key::service(name)).await? else { continue };
            let service: Service = service.decode()?;
            for other in self.others_of_app(&service, names).await? {
                let shared = service.spec.volumes.iter().find(|v| declares(&other, &v.name));
                if let Some(volume) = shared {
                    let (volume, by) = (volume.name.clone(), other.name().clone());
                    return Err(Refused::VolumeShared { volume, service: name.clone(), by });
                }
            }
        }
        Ok(())
    }

    /// Services of the same app that stay, but for these.
    async fn others_of_app(&self, service: &Service, but: &[ServiceName]) -> Result<Vec<Service>, Refused> {
        let mut others = Vec::new();
        for name in Stored::names(self.store.as_ref()).await? {
            let Some(entry) = self.store.get(&key::service(&name)).await? else { continue };
            let other: Service = entry.decode()?;
            let same_app = other.metadata.app == service.metadata.app;
            if same_app && other.deleted_at.is_none() && !but.contains(&name) && name != *service.name() {
                others.push(other);
            }
        }
        Ok(others)
    }

    /// Removes the volumes that the user named with the service, now that none of its containers is left. A volume that
    /// another service has come to declare meanwhile stays.
    ///
    /// # Errors
    /// A text for people: a volume is in use by a container that is not ours, or the Engine or the store is away.
    pub(crate) async fn remove_volumes(&self, service: &Service) -> Result<(), String> {
        let others = self.others_of_app(service, &[]).await.map_err(|error| error.to_string())?;
        let going = service.spec.volumes.iter().map(|v| v.name.as_str());
        let going: BTreeSet<&str> =
            going.filter(|name| !others.iter().any(|other| declares(other, name))).collect();
        if going.is_empty() {
            return Ok(());
        }
        let (store, app) = (self.store.identity().id.as_str(), service.metadata.app.as_str());
        let is = |volume: &ObservedVolume, label: &str, value: &str| {
            volume.labels.get(label).map(String::as_str) == Some(value)
        };
        for volume in self.engine.volumes().await.map_err(|error| error.to_string())? {
            let named = volume.labels.get(LABEL_VOLUME).is_some_and(|name| going.contains(name.as_str()));
            if named && is(&volume, LABEL_STORE, store) && is(&volume, LABEL_APP, app) {
                self.engine
                    .remove_volume(&volume.name)
                    .await
                    .map_err(|error| in_the_way(&volume.name, &error))?;
                tracing::info!(service = %service.name(), volume = volume.name, "volume removed");
            }
        }
        Ok(())
    }
}

fn declares(service: &Service, volume: &str) -> bool {
    service.spec.volumes.iter().any(|v| v.name == volume)
}

fn in_the_way(volume: &str, error: &EngineError) -> String {
    match error {
        EngineError::Conflict { message } => format!("volume {volume} is in use: {message}"),
        error => format!("volume {volume} cannot be removed: {error}"),
    }
}
