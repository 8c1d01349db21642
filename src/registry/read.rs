//! The objects that a routing table is built from, read from the store and decoded.

use crate::model::{Endpoint, Service, Traffic, key};
use crate::store::{Decoded, Store, StoreError};

/// Decoded objects of the last read.
#[derive(Default)]
pub(super) struct StoredObjects {
    pub(super) services: Decoded<Service>,
    pub(super) endpoints: Decoded<Endpoint>,
    pub(super) traffic: Decoded<Traffic>,
}

impl StoredObjects {
    /// Reads the store again; only what changed is decoded. Returns a revision up to which nothing was missed.
    ///
    /// # Errors
    /// The store's, or an object that cannot be decoded.
    pub(super) async fn refresh(&mut self, store: &dyn Store) -> Result<u64, StoreError> {
        let services = store.list(key::SERVICES).await?;
        let endpoints = store.list(key::ENDPOINTS).await?;
        let traffic = store.list(key::TRAFFIC).await?;
        // A watch from after this revision misses nothing of any list.
        let revision = services.revision.min(endpoints.revision).min(traffic.revision);
        self.services.refresh(services)?;
        self.endpoints.refresh(endpoints)?;
        self.traffic.refresh(traffic)?;
        Ok(revision)
    }
}
