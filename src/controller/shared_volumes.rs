//! Which volumes of a service another service uses as well.

use std::collections::BTreeMap;

use super::service_state::ServiceState;
use crate::model::{Service, ServiceName, Volume};
use crate::store::{Store, StoreError};

/// The volumes of a service that another one of its app declares, with the first such service. Services that are being
/// deleted and those in `except` do not count.
pub(super) async fn shared_volumes(
    store: &dyn Store,
    service: &Service,
    except: &[ServiceName],
) -> Result<BTreeMap<String, ServiceName>, StoreError> {
    let mut shared = BTreeMap::new();
    for other in ServiceState::services(store).await? {
        let name = other.name();
        if name == service.name() || except.contains(name) {
            continue;
        }
        if other.metadata.app != service.metadata.app || other.deleted_at.is_some() {
            continue;
        }
        let declares =
            |volume: &str| other.spec.volumes.iter().any(|declared| declared.name() == Some(volume));
        let named = service.spec.volumes.iter().filter_map(Volume::name);
        for volume in named.filter(|volume| declares(volume)) {
            shared.entry(volume.to_owned()).or_insert_with(|| name.clone());
        }
    }
    Ok(shared)
}
