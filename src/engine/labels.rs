//! The labels of containers, networks and volumes. Pure.

use std::collections::BTreeMap;

use crate::model::StoreId;

/// UUID of the store that an object belongs to. Everything of ours has it, and nothing else is changed.
pub const LABEL_STORE: &str = "coxswain.store";
/// Host and state directory of the daemon that created the container.
pub const LABEL_INSTANCE: &str = "coxswain.instance";
/// Name of the service.
pub const LABEL_SERVICE: &str = "coxswain.service";
/// Number of the revision that the container was created from.
pub const LABEL_REVISION: &str = "coxswain.revision";
/// Name of the replica.
pub const LABEL_REPLICA: &str = "coxswain.replica";
/// When the replica was made. After an older store was restored, names are given again: a container of the same name may be
/// of a replica that this store does not know.
pub const LABEL_REPLICA_CREATED_AT: &str = "coxswain.replica-created-at";
/// Number of the attempt, from 1.
pub const LABEL_ATTEMPT: &str = "coxswain.attempt";
/// The container's fixed address. Docker does not report the address of a container that does not run, and an exited one
/// takes it again when a user starts it.
pub const LABEL_ADDRESS: &str = "coxswain.address";
/// On a network and on a volume: name of the app.
pub const LABEL_APP: &str = "coxswain.app";
/// On a volume: its name in the manifest.
pub const LABEL_VOLUME: &str = "coxswain.volume";

/// On a volume that an image declares: its path. Such a volume has the service's name too.
pub const LABEL_VOLUME_PATH: &str = "coxswain.volume-path";

/// On a container that checks something and ends: what it checks. It is of our store and of no replica.
pub const LABEL_CHECK: &str = "coxswain.check";

/// Whether a label has this value.
pub fn has_label(labels: &BTreeMap<String, String>, label: &str, value: &str) -> bool {
    labels.get(label).is_some_and(|found| found == value)
}

/// Whether a container is of this store and checks something: it is of no replica.
pub fn is_check_of(labels: &BTreeMap<String, String>, store: &StoreId) -> bool {
    is_of_store(labels, store) && labels.contains_key(LABEL_CHECK)
}

/// Whether an object belongs to this store: only then may anything be done to it.
pub fn is_of_store(labels: &BTreeMap<String, String>, store: &StoreId) -> bool {
    has_label(labels, LABEL_STORE, store.as_str())
}
