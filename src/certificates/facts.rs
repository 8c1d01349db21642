//! What a certificate says about itself. Pure.

use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::problem::CertificateProblem;
use crate::model::HostPattern;

/// Names, dates and issuer of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// DNS names that it is for, in lower case.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Who issued it.
    pub issuer: String,
}

impl CertificateFacts {
    /// Of a certificate in DER.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn of(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let time = |at: i64| Timestamp::from_second(at).map_err(|error| error.to_string());
        let validity = certificate.validity();
        let alternative = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        Ok(Self {
            names: names.collect(),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            issuer: certificate.issuer().to_string(),
        })
    }

    /// Whether it is for this host; a wildcard in it means one label.
    pub(super) fn covers(&self, host: &HostPattern) -> bool {
        let host = host.to_string();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let covers = |name: &String| *name == host || (parent.is_some() && name.strip_prefix("*.") == parent);
        self.names.iter().any(covers)
    }

    /// What is wrong with it at this time, for this host; `path` says which it is.
    pub(super) fn fault(&self, host: &HostPattern, path: &str, now: Timestamp) -> Option<CertificateProblem> {
        let path = path.to_owned();
        if !self.covers(host) {
            let names = self.names.clone();
            return Some(CertificateProblem::OtherHost { path, host: host.to_string(), names });
        }
        if now >= self.not_after {
            return Some(CertificateProblem::Expired { path, at: self.not_after });
        }
        (now < self.not_before).then_some(CertificateProblem::NotYetValid { path, at: self.not_before })
    }

    /// Whether less than a tenth of its life is left: whatever renews certificates has usually done so by then.
    pub fn is_expiring(&self, now: Timestamp) -> bool {
        let life = self.not_after.as_second().saturating_sub(self.not_before.as_second());
        self.not_after.as_second().saturating_sub(now.as_second()) < life / 10
    }
}
