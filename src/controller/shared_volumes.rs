//! Which services of an app share a volume.

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
