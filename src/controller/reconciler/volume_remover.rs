//! The loop that removes the volumes of deleted services, apart from the passes: a slow Docker delays no other service.

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::handle::Reconciler;
use super::volume_removal::VolumeRemoval;
use crate::agent::DoomedVolumes;
use crate::controller::shared_volumes::shared_volumes;
use crate::model::{Service, Volume};

impl Reconciler {
    /// Removes volumes as plans request it, services side by side, for as long as it is polled.
    pub async fn remove_requested_volumes(&self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            under_way.extend(self.take_requested().into_iter().map(|service| self.attempt_removal(service)));
            tokio::select! {
                () = self.removal_requested.notified() => {}
                Some(()) = under_way.next() => {}
            }
        }
    }

    fn take_requested(&self) -> Vec<Service> {
        self.memory.lock().removals().filter_map(VolumeRemoval::take_requested).collect()
    }

    /// One attempt; its end wakes a pass.
    async fn attempt_removal(&self, service: Service) {
        let name = service.name();
        let outcome = self.remove_volumes(&service).await;
        let now = self.clock.mono();
        let failure = self.memory.lock().update(name, |memory| memory.removal.ended(outcome, now));
        if let Some(message) = failure {
            tracing::warn!(service = %name, message, "its volumes cannot be removed yet");
        }
        self.mark(name.clone());
    }

    /// Removes the volumes that the user named with the service, now that none of its containers is left. A volume that
    /// another service has declared in the meantime stays.
    ///
    /// # Errors
    /// A message: another container uses a volume, or the Engine or the store is away.
    async fn remove_volumes(&self, service: &Service) -> Result<(), String> {
        let shared = shared_volumes(self.store.as_ref(), service, &[]).await;
        let shared = shared.map_err(|error| error.to_string())?;
        let names = service.spec.volumes.iter().filter_map(Volume::name).map(str::to_owned);
        let doomed = DoomedVolumes {
            app: service.metadata.app.clone(),
            names: names.filter(|name| !shared.contains_key(name)).collect(),
            service: service.name().clone(),
        };
        self.links.remove_volumes(&doomed).await.map_err(|error| error.to_string())
    }
}
