//! The certificates of a table in serving form: a TLS configuration for each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{ServerConfig, crypto};

use crate::balancer::client_transport::HTTP2;
use crate::model::{HostPattern, TlsCertificate, pattern_for};

/// What is spoken over TLS, in the order of preference.
const ALPN: [&[u8]; 2] = [HTTP2, b"http/1.1"];

/// The configurations of a table, by server name.
#[derive(Default)]
pub(in crate::balancer) struct TlsSites(BTreeMap<HostPattern, Arc<ServerConfig>>);

impl TlsSites {
    /// The site that serves this name, in lower case.
    pub(in crate::balancer) fn find(&self, name: &str) -> Option<(&HostPattern, &Arc<ServerConfig>)> {
        pattern_for(&self.0, name)
    }
}

impl fmt::Debug for TlsSites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
enum BadCertificate {
    #[error("the certificate or its key is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("TLS cannot be served with it")]
    Tls(#[from] rustls::Error),
}

/// Makes the configurations, and keeps those whose certificate did not change.
pub(in crate::balancer) struct TlsSiteKeeper {
    provider: Arc<CryptoProvider>,
    /// So that a client that returns needs no full handshake, on whichever thread it comes in. `None` if there is no randomness.
    tickets: Option<Arc<dyn ProducesTickets>>,
    known: BTreeMap<HostPattern, (TlsCertificate, Arc<ServerConfig>)>,
    sites: Arc<TlsSites>,
}

impl TlsSiteKeeper {
    pub(in crate::balancer) fn new() -> Self {
        let tickets = crypto::ring::Ticketer::new();
        if let Err(error) = &tickets {
            tracing::error!(%error, "TLS sessions cannot be resumed");
        }
        Self {
            provider: Arc::new(crypto::ring::default_provider()),
            tickets: tickets.ok(),
            known: BTreeMap::new(),
            sites: Arc::default(),
        }
    }

    /// The sites of these certificates. One that cannot be served leaves the last one of its name in place: the controller checks them,
    /// and the table's other routes must not wait for it.
    pub(in crate::balancer) fn update(
        &mut self,
        certificates: &BTreeMap<HostPattern, TlsCertificate>,
    ) -> Arc<TlsSites> {
        let is_known = |(host, certificate): (&HostPattern, &TlsCertificate)| {
            self.known.get(host).is_some_and(|(known, _)| known == certificate)
        };
        if self.known.len() == certificates.len() && certificates.iter().all(is_known) {
            return Arc::clone(&self.sites);
        }
        self.known.retain(|host, _| certificates.contains_key(host));
        for (host, certificate) in certificates {
            if self.known.get(host).is_some_and(|(known, _)| known == certificate) {
                continue;
            }
            match self.config(certificate) {
                Ok(config) => {
                    self.known.insert(host.clone(), (certificate.clone(), Arc::new(config)));
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%host, error, "a certificate of the table cannot be served");
                }
            }
        }
        let sites = self.known.iter().map(|(host, (_, config))| (host.clone(), Arc::clone(config)));
        self.sites = Arc::new(TlsSites(sites.collect()));
        Arc::clone(&self.sites)
    }

    fn config(&self, certificate: &TlsCertificate) -> Result<ServerConfig, BadCertificate> {
        let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
        let chain: Vec<CertificateDer<'static>> = chain.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(certificate.key.secret().as_bytes())?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        // 1.2 and 1.3
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
        if let Some(tickets) = &self.tickets {
            config.ticketer = Arc::clone(tickets);
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(config)
    }
}
