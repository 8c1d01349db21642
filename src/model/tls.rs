//! TLS of routes: where a certificate comes from, and the pair that a balancer serves. Pure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HostPattern, Millis, is_host_name};

/// `tls` of a route: HTTPS for its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RouteTls {
    /// Coxswain issues the certificate itself.
    Word(AutoWord),
    /// Files on the daemon's node.
    Files {
        /// The certificate, followed by its intermediates.
        cert: String,
        /// Its private key.
        key: String,
    },
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AutoWord {
    Auto,
}

/// `Strict-Transport-Security`: browsers use HTTPS for this host, whatever a link says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hsts {
    #[serde(default = "Hsts::default_max_age")]
    pub max_age: Millis,
    #[serde(default)]
    pub include_subdomains: bool,
}

impl Hsts {
    /// A year: what lists of hosts that browsers preload ask for.
    pub const MAX_AGE: Millis = Millis::secs(365 * 24 * 3600);

    const fn default_max_age() -> Millis {
        Self::MAX_AGE
    }

    /// The value of the header.
    pub fn header(&self) -> String {
        let seconds = self.max_age.0 / 1000;
        let subdomains = if self.include_subdomains { "; includeSubDomains" } else { "" };
        format!("max-age={seconds}{subdomains}")
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age: Self::MAX_AGE, include_subdomains: false }
    }
}

impl RouteTls {
    /// A certificate that Coxswain issues.
    pub const AUTO: Self = Self::Word(AutoWord::Auto);

    /// Where the certificate comes from.
    pub fn source(&self) -> CertificateSource {
        match self {
            Self::Word(AutoWord::Auto) => CertificateSource::LocalAuthority,
            Self::Files { cert, key } => CertificateSource::Files { cert: cert.clone(), key: key.clone() },
        }
    }
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateSource {
    /// Files of the daemon's node.
    Files { cert: String, key: String },
    /// The daemon's own authority, for names that no public one issues for.
    LocalAuthority,
}

impl fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { cert, .. } => f.write_str(cert),
            Self::LocalAuthority => f.write_str("local CA"),
        }
    }
}

/// Names of which no public authority issues a certificate (RFC 6761, RFC 8375, ICANN's `.internal`), under which anyone may name
/// machines of their own.
const PRIVATE_DOMAINS: [&str; 7] = ["localhost", "internal", "test", "home.arpa", "local", "lan", "example"];

/// Whether a host's name is private: under one of those domains, or a single label.
pub fn is_private_host(host: &str) -> bool {
    let is_under =
        |domain: &&str| host.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    is_host_name(host.strip_prefix("*.").unwrap_or(host))
        && (!host.contains('.') || PRIVATE_DOMAINS.iter().any(is_under))
}

/// A private key. It is shown nowhere but in the messages to a balancer and in its table file, which only the balancer can read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivateKeyPem(Arc<str>);

impl PrivateKeyPem {
    /// A key as PEM.
    pub fn new(pem: impl Into<Arc<str>>) -> Self {
        Self(pem.into())
    }

    /// The key itself.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private key]")
    }
}

/// A certificate with its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsCertificate {
    /// The host's own certificate first, then its intermediates.
    pub chain: Arc<str>,
    pub key: PrivateKeyPem,
}

/// The pattern that decides for a server name: the exact one, else the wildcard of its parent.
pub fn pattern_for<'a, T>(
    patterns: &'a std::collections::BTreeMap<HostPattern, T>,
    name: &str,
) -> Option<(&'a HostPattern, &'a T)> {
    let exact = patterns.get_key_value(&HostPattern::Exact(name.to_owned()));
    exact.or_else(|| {
        let (_, parent) = name.split_once('.')?;
        patterns.get_key_value(&HostPattern::Wildcard(parent.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn server_name_takes_the_exact_pattern_before_the_wildcard_and_no_other() {
        let patterns: BTreeMap<HostPattern, u8> = ["shop.example", "*.example", "*.deep.example"]
            .iter()
            .map(|p| p.parse().unwrap())
            .zip(0..)
            .collect();
        let found = |name: &str| pattern_for(&patterns, name).map(|(pattern, _)| pattern.to_string());
        for (name, expected) in [
            ("shop.example", Some("shop.example")),
            ("other.example", Some("*.example")),
            ("a.deep.example", Some("*.deep.example")),
            ("a.b.example", None),
            ("example", None),
            ("", None),
            ("other", None),
        ] {
            assert_eq!(found(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn private_names_are_those_of_no_public_authority() {
        for (host, is_private) in [
            ("localhost", true),
            ("shop.localhost", true),
            ("*.shop.localhost", true),
            ("intranet", true),
            ("nas.home.arpa", true),
            ("db.internal", true),
            ("ci.test", true),
            ("shop.acme.dev", false),
            ("mylocalhost.com", false),
            ("home.arpa.com", false),
            ("notinternal.org", false),
            ("", false),
        ] {
            assert_eq!(is_private_host(host), is_private, "{host}");
        }
    }

    #[test]
    fn tls_of_a_route_reads_what_it_writes() {
        let files = RouteTls::Files { cert: "/c".to_owned(), key: "/k".to_owned() };
        for (tls, text) in [(RouteTls::AUTO, "\"auto\""), (files, "{\"cert\":\"/c\",\"key\":\"/k\"}")] {
            assert_eq!(serde_json::to_string(&tls).unwrap(), text);
            assert_eq!(serde_json::from_str::<RouteTls>(text).unwrap(), tls);
        }
        assert!(serde_json::from_str::<RouteTls>("\"automatic\"").is_err());
    }

    #[test]
    fn private_key_is_not_shown() {
        let pair = TlsCertificate { chain: "CHAIN".into(), key: PrivateKeyPem::new("SECRET") };
        let shown = format!("{pair:?}");
        assert!(shown.contains("CHAIN") && !shown.contains("SECRET"), "{shown}");
    }

    #[test]
    fn hsts_header_counts_seconds() {
        let hsts = Hsts { max_age: Millis::secs(60), include_subdomains: true };
        assert_eq!(hsts.header(), "max-age=60; includeSubDomains");
        assert_eq!(Hsts::default().header(), "max-age=31536000");
    }
}
