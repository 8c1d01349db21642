//! The events of deleted services: kept for a day, so that it can be read what became of one.

use std::collections::BTreeSet;

use super::handle::Reconciler;
use crate::controller::service_state::ServiceState;
use crate::model::{Event, Millis, ServiceName, key};
use crate::store::{Compare, Op, StoreEntry, StoreError, TXN_MAX_OPS, Txn};

/// How long the events of a deleted service can be read: until the next working day has begun.
const KEPT_FOR: Millis = Millis::secs(24 * 3_600);
/// Time between two searches for expired events.
const SEARCH_EVERY: Millis = Millis::secs(600);

impl Reconciler {
    /// Deletes expired events, for as long as it is polled.
    pub(super) async fn expire_events(&self) {
        loop {
            if let Err(error) = self.delete_expired_events().await {
                tracing::warn!(%error, "expired events cannot be deleted; they are tried again later");
            }
            tokio::time::sleep(SEARCH_EVERY.std()).await;
        }
    }

    /// Deletes the events of deleted services that are older than a day.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_expired_events(&self) -> Result<(), StoreError> {
        let events = self.store.list(key::EVENTS).await?.entries;
        let services: BTreeSet<ServiceName> =
            ServiceState::names(self.store.as_ref()).await?.into_iter().collect();
        let expired = expired(&events, &services, self.clock.wall());
        for (service, keys) in expired {
            for chunk in keys.chunks(TXN_MAX_OPS) {
                let ops = chunk.iter().map(|key| Op::delete(key.clone())).collect();
                // It may have been declared again meanwhile.
                let compare = vec![Compare::Absent(key::service(&service))];
                self.store.txn(Txn { compare, ops }).await?;
            }
        }
        Ok(())
    }
}

/// The keys of events of services that are not stored, older than a day. An event that cannot be read has expired.
fn expired(
    events: &[StoreEntry],
    stored: &BTreeSet<ServiceName>,
    now: jiff::Timestamp,
) -> Vec<(ServiceName, Vec<String>)> {
    let is_old =
        |entry: &StoreEntry| entry.decode::<Event>().map_or(true, |event| event.at + KEPT_FOR.std() < now);
    let mut found: Vec<(ServiceName, Vec<String>)> = Vec::new();
    for entry in events {
        let Some(service) = key::service_of_event(&entry.key).filter(|name| !stored.contains(name)) else {
            continue;
        };
        if !is_old(entry) {
            continue;
        }
        match found.last_mut() {
            Some((last, keys)) if *last == service => keys.push(entry.key.clone()),
            _ => found.push((service, vec![entry.key.clone()])),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, EventReason};

    fn entry(service: &str, hour: i64) -> StoreEntry {
        let at = jiff::Timestamp::from_second(hour * 3_600).unwrap();
        let event = Event {
            at,
            object: format!("service/{service}"),
            kind: EventKind::Normal,
            reason: EventReason::ServiceDeleted,
            message: String::new(),
            cut: Vec::new(),
        };
        let key = key::event(&service.into(), u64::try_from(hour).unwrap(), "orchestrator");
        let value = serde_json::to_vec(&event).unwrap();
        StoreEntry { key, value, create_revision: 1, mod_revision: 1, version: 1, lease: None }
    }

    #[test]
    fn events_of_a_deleted_service_expire_after_a_day() {
        let events =
            [entry("api", 1), entry("users", 1), entry("users", 2), entry("users", 30), entry("web", 1)];
        let stored = BTreeSet::from(["web".into()]);
        let at = |hour: i64| jiff::Timestamp::from_second(hour * 3_600).unwrap();
        assert_eq!(expired(&events, &stored, at(25)), []);
        let keys = |service: &str, hours: &[u64]| -> (ServiceName, Vec<String>) {
            let name = ServiceName::new(service);
            let keys = hours.iter().map(|hour| key::event(&name, *hour, "orchestrator")).collect();
            (name, keys)
        };
        assert_eq!(expired(&events, &stored, at(31)), [keys("api", &[1]), keys("users", &[1, 2])]);
    }
}
