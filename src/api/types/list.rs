//! What answers of several kinds have in common.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    CertificateObject, EndpointObject, NodeObject, ReplicaObject, RevisionObject, ServiceObject, VolumeObject,
};

/// Several objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// In the order of their names.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A list of these.
    pub fn of(items: Vec<T>) -> Self {
        Self { items }
    }
}

/// A kind of object that is listed and watched.
pub trait ListedObject: DeserializeOwned + Send + 'static {
    /// Its path below `/v1/`.
    const PLURAL: &'static str;
}

impl ListedObject for ServiceObject {
    const PLURAL: &'static str = "services";
}

impl ListedObject for ReplicaObject {
    const PLURAL: &'static str = "replicas";
}

impl ListedObject for EndpointObject {
    const PLURAL: &'static str = "endpoints";
}

impl ListedObject for RevisionObject {
    const PLURAL: &'static str = "revisions";
}

impl ListedObject for NodeObject {
    const PLURAL: &'static str = "nodes";
}

impl ListedObject for CertificateObject {
    const PLURAL: &'static str = "certificates";
}

impl ListedObject for VolumeObject {
    const PLURAL: &'static str = "volumes";
}
