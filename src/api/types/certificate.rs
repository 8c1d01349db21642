//! Certificates of HTTPS hosts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::controller::{AuthorityCertificate, CertificateSnapshot};
use crate::model::{CertificateState, ServiceName};

/// The certificate of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateObject {
    /// A host name, or `*.` before one.
    pub host: String,
    /// Path of its file, or `local CA`.
    pub source: String,
    /// Services with a route that asks for it.
    pub services: Vec<ServiceName>,
    pub state: CertificateState,
    /// What is wrong, with file and reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Of the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Of the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl From<CertificateSnapshot> for CertificateObject {
    fn from(snapshot: CertificateSnapshot) -> Self {
        let CertificateSnapshot { host, source, services, state, reason, not_before, not_after, issuer } =
            snapshot;
        let services = services.into_iter().collect();
        Self { host: host.to_string(), source, services, state, reason, not_before, not_after, issuer }
    }
}

/// The certificate of the daemon's local CA, which clients are to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityObject {
    pub pem: String,
    pub not_after: Timestamp,
    /// Where it is on the node.
    pub path: String,
}

impl From<AuthorityCertificate> for AuthorityObject {
    fn from(certificate: AuthorityCertificate) -> Self {
        let AuthorityCertificate { pem, not_after, path } = certificate;
        Self { pem, not_after, path: path.display().to_string() }
    }
}
