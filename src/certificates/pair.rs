//! A certificate and its key, from PEM. Pure.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::facts::CertificateFacts;
use super::problem::CertificateProblem;
use crate::model::{PrivateKeyPem, TlsCertificate};

/// Where a pair comes from, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairPaths<'a> {
    pub(super) cert: &'a str,
    pub(super) key: &'a str,
}

/// A certificate that matches its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertificatePair {
    pub(super) served: TlsCertificate,
    pub(super) facts: CertificateFacts,
}

impl CertificatePair {
    /// Reads both, and that they belong together.
    ///
    /// # Errors
    /// Why they cannot serve.
    pub(super) fn read(chain: &str, key: &str, paths: PairPaths<'_>) -> Result<Self, CertificateProblem> {
        let PairPaths { cert: cert_path, key: key_path } = paths;
        let bad_certificate = |why: String| {
            let path = cert_path.to_owned();
            CertificateProblem::BadCertificate { path, why }
        };
        let certificates = CertificateDer::pem_slice_iter(chain.as_bytes());
        let certificates: Vec<CertificateDer<'static>> =
            certificates.collect::<Result<_, _>>().map_err(|error| bad_certificate(error.to_string()))?;
        let Some(first) = certificates.first() else {
            return Err(CertificateProblem::NoCertificate { path: cert_path.to_owned() });
        };
        let facts = CertificateFacts::of(first).map_err(bad_certificate)?;
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| CertificateProblem::NoKey { path: key_path.to_owned() })?;
        CertifiedKey::from_der(certificates, private, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                CertificateProblem::Mismatch { cert: cert_path.to_owned(), key: key_path.to_owned() }
            }
            rustls::Error::InvalidCertificate(_) => bad_certificate(error.to_string()),
            error => CertificateProblem::BadKey { path: key_path.to_owned(), why: error.to_string() },
        })?;
        let served = TlsCertificate { chain: chain.into(), key: PrivateKeyPem::new(key) };
        Ok(Self { served, facts })
    }
}
