//! A mirror of the store's services and events, fed by one watch and shared by all readers.
//!
//! Invariants: a read sees every write that was committed before it began: it asks the store for its revision and waits
//! until the watch has delivered that. A service is decoded again only after one of its records changed. Where the
//! watch ends or falls behind, the mirror is listed again.
//! The mirror is made by the first read; without reads there is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::controller::service_state::ServiceState;
use crate::model::{Event, ServiceName, key};
use crate::store::{Change, Store, StoreEntry, StoreError, WatchEvent};

/// How long a read waits for the watch before it lists again. The embedded store delivers at once, but not every revision
/// has changes to deliver.
const CATCH_UP_WITHIN: Duration = Duration::from_millis(100);

/// Reads services and events without asking the store for each.
pub(in crate::controller) struct ReadModel {
    store: Arc<dyn Store>,
    mirror: Mutex<Option<Mirror>>,
}

struct Mirror {
    watch: BoxStream<'static, WatchEvent>,
    revision: u64,
    /// Records of services, by service and key.
    records: BTreeMap<ServiceName, BTreeMap<String, StoreEntry>>,
    /// Decoded services, until one of their records changes.
    services: BTreeMap<ServiceName, Arc<ServiceState>>,
    events: BTreeMap<String, StoreEntry>,
}

/// The services as of one revision of the store.
pub(super) struct ServicesSnapshot {
    pub(super) revision: u64,
    pub(super) services: BTreeMap<ServiceName, Arc<ServiceState>>,
}

impl ReadModel {
    pub(in crate::controller) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, mirror: Mutex::new(None) }
    }

    /// All services, or those of these names that exist.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn services(&self, names: &[ServiceName]) -> Result<ServicesSnapshot, StoreError> {
        let mut mirror = self.mirror.lock().await;
        let mirror = self.caught_up(&mut mirror).await?;
        let wanted = if names.is_empty() { mirror.records.keys().cloned().collect() } else { names.to_vec() };
        let mut services = BTreeMap::new();
        for name in wanted {
            if let Some(state) = mirror.service(&name)? {
                services.insert(name, state);
            }
        }
        Ok(ServicesSnapshot { revision: mirror.revision, services })
    }

    /// The events of all services, or of one; by key.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn events(&self, service: Option<&ServiceName>) -> Result<Vec<Event>, StoreError> {
        let mut mirror = self.mirror.lock().await;
        let mirror = self.caught_up(&mut mirror).await?;
        let prefix = service.map_or_else(|| key::EVENTS.to_owned(), key::events_of);
        let with_prefix =
            mirror.events.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        with_prefix.map(|(_, entry)| entry.decode()).collect()
    }

    async fn caught_up<'a>(&self, mirror: &'a mut Option<Mirror>) -> Result<&'a mut Mirror, StoreError> {
        // A few keys: their listing costs next to nothing and carries the store's revision.
        let target = self.store.list(key::AGENTS).await?.revision;
        let is_current = match mirror {
            Some(mirror) => mirror.follow_to(target).await,
            None => false,
        };
        if !is_current {
            *mirror = None;
        }
        match mirror {
            Some(mirror) => Ok(mirror),
            None => Ok(mirror.insert(Mirror::list(self.store.as_ref()).await?)),
        }
    }
}

impl Mirror {
    async fn list(store: &dyn Store) -> Result<Self, StoreError> {
        let listing = store.list("").await?;
        let watch = store.watch("", listing.revision + 1).await?;
        let revision = listing.revision;
        let mut mirror = Self {
            watch,
            revision,
            records: BTreeMap::new(),
            services: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        listing.entries.into_iter().for_each(|entry| mirror.apply(Change::Put(entry)));
        Ok(mirror)
    }

    /// Takes in changes up to that revision; `false` if the watch does not deliver them.
    async fn follow_to(&mut self, target: u64) -> bool {
        while self.revision < target {
            match timeout(CATCH_UP_WITHIN, self.watch.next()).await {
                Ok(Some(WatchEvent::Changes { revision, changes })) => {
                    changes.into_iter().for_each(|change| self.apply(change));
                    self.revision = revision;
                }
                Ok(Some(WatchEvent::Resync) | None) | Err(_) => return false,
            }
        }
        true
    }

    fn apply(&mut self, change: Change) {
        let key = change.key().to_owned();
        if key.starts_with(key::EVENTS) {
            put_or_remove(&mut self.events, key, change);
            return;
        }
        let Some(name) = key::service_of(&key).filter(|_| ServiceState::has_record(&key)) else { return };
        self.services.remove(&name);
        let records = self.records.entry(name.clone()).or_default();
        put_or_remove(records, key, change);
        if records.is_empty() {
            self.records.remove(&name);
        }
    }

    fn service(&mut self, name: &ServiceName) -> Result<Option<Arc<ServiceState>>, StoreError> {
        if let Some(state) = self.services.get(name) {
            return Ok(Some(Arc::clone(state)));
        }
        let Some(records) = self.records.get(name) else { return Ok(None) };
        let Some(state) = ServiceState::from_entries(name, records.values())? else { return Ok(None) };
        let state = Arc::new(state);
        self.services.insert(name.clone(), Arc::clone(&state));
        Ok(Some(state))
    }
}

fn put_or_remove(entries: &mut BTreeMap<String, StoreEntry>, key: String, change: Change) {
    match change {
        Change::Put(entry) => {
            entries.insert(key, entry);
        }
        Change::Delete { .. } => {
            entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
