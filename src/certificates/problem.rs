//! Why a certificate cannot serve, or should not. Pure.

use jiff::Timestamp;

/// Names file and reason, and never a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("cannot read {path}: {why}")]
    Unreadable { path: String, why: String },
    #[error("{path} holds no certificate in PEM")]
    NoCertificate { path: String },
    #[error("{path} holds a certificate that cannot be read: {why}")]
    BadCertificate { path: String, why: String },
    #[error("{path} holds no private key in PEM; one with a passphrase cannot be used")]
    NoKey { path: String },
    #[error("{path} holds a private key that cannot be used: {why}")]
    BadKey { path: String, why: String },
    #[error("the certificate in {cert} does not match the key in {key}")]
    Mismatch { cert: String, key: String },
    #[error("{path} is for {}, not for {host}", if .names.is_empty() { "no DNS name".to_owned() } else { .names.join(", ") })]
    OtherHost { path: String, host: String, names: Vec<String> },
    #[error("{path} expired on {}", day(.at))]
    Expired { path: String, at: Timestamp },
    #[error("{path} is not valid before {}", minute(.at))]
    NotYetValid { path: String, at: Timestamp },
    #[error("the local CA cannot issue a certificate: {why}")]
    NotIssued { why: String },
    #[error("its files have not been read yet: the file system does not answer")]
    Hanging,
}

impl CertificateProblem {
    /// Whether the certificate can serve if there is no better one: clients then see what is wrong with it.
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }
}

fn day(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn minute(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
