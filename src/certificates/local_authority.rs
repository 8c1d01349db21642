//! The daemon's own certificate authority, for names that no public one issues for.
//!
//! Its key is made when it is first needed, and never replaced by itself: everyone who trusts it would have to trust another.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::facts::CertificateFacts;
use super::pair::{CertificatePair, PairPaths};
use super::private_file;
use super::problem::CertificateProblem;
use crate::model::{HostPattern, io_error_text};

/// Clocks of clients may be behind.
const BACKDATED: Duration = Duration::from_secs(3600);
/// All who trust it must be configured again for the next one.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Renewed on its own, so it can be short: a stolen key is of use for a month.
const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A daemon that is down for a week still finds valid certificates.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(10 * 24 * 3600);

/// The certificate that clients must trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    pub pem: String,
    pub not_after: Timestamp,
    /// Where it is on the node.
    pub path: PathBuf,
}

/// A certificate authority in a directory.
#[derive(Debug)]
pub struct LocalAuthority {
    directory: PathBuf,
}

impl LocalAuthority {
    /// In this directory, which only the daemon may be able to read.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Its certificate; `None` before the first one was issued.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self) -> Result<Option<AuthorityCertificate>, CertificateProblem> {
        let path = self.certificate_path();
        let pem = match fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(not_issued(&path.display(), &io_error_text(&error))),
        };
        let facts = self.facts(&pem)?;
        Ok(Some(AuthorityCertificate { pem, not_after: facts.not_after, path }))
    }

    /// A new certificate for a host.
    pub(super) fn issue(
        &self,
        host: &HostPattern,
        now: Timestamp,
    ) -> Result<CertificatePair, CertificateProblem> {
        let (pem, key) = self.load_or_make(now)?;
        let authority = Issuer::from_ca_cert_pem(&pem, key).map_err(failed)?;
        let host = host.to_string();
        let mut params = CertificateParams::new(vec![host.clone()]).map_err(failed)?;
        params.distinguished_name = name(&host);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_life(&mut params, now, LEAF_LIFE);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &authority).map_err(failed)?;
        let paths = PairPaths { cert: "the new certificate", key: "the new key" };
        CertificatePair::read(&certificate.pem(), &key.serialize_pem(), paths)
    }

    /// Whether a host's certificate is to be replaced by a new one.
    pub(super) fn is_due(&self, pair: &CertificatePair, host: &HostPattern, now: Timestamp) -> bool {
        let is_ours = self.certificate().is_ok_and(|authority| {
            authority.is_some_and(|authority| {
                self.facts(&authority.pem).is_ok_and(|facts| facts.issuer == pair.facts.issuer)
            })
        });
        let ends_soon = pair.facts.not_after < now + RENEWED_BEFORE_END;
        !is_ours || ends_soon || pair.facts.fault(host, "", now).is_some()
    }

    fn load_or_make(&self, now: Timestamp) -> Result<(String, KeyPair), CertificateProblem> {
        let Some(certificate) = self.certificate()? else { return self.make(now) };
        if now >= certificate.not_after {
            let why = "it has expired; remove it, and a new one is made that clients must trust";
            return Err(not_issued(&certificate.path.display(), why));
        }
        let path = self.key_path();
        let key =
            fs::read_to_string(&path).map_err(|error| not_issued(&path.display(), &io_error_text(&error)))?;
        let key =
            KeyPair::from_pem(&key).map_err(|_| not_issued(&path.display(), "it holds no private key"))?;
        Ok((certificate.pem, key))
    }

    /// The key is in place before the certificate: with that alone nothing could be issued.
    fn make(&self, now: Timestamp) -> Result<(String, KeyPair), CertificateProblem> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // so that two authorities can be distinguished in a list of trusted ones
        let id = crate::model::sha256_hex(key.public_key_raw());
        params.distinguished_name = name(&format!("Coxswain local CA {}", id.get(..8).unwrap_or(&id)));
        set_life(&mut params, now, AUTHORITY_LIFE);
        let pem = params.self_signed(&key).map_err(failed)?.pem();
        let written = private_file::make_directory(&self.directory)
            .and_then(|()| private_file::write(&self.key_path(), &key.serialize_pem()))
            .and_then(|()| private_file::write(&self.certificate_path(), &pem));
        written.map_err(|error| not_issued(&self.directory.display(), &io_error_text(&error)))?;
        tracing::info!(path = %self.certificate_path().display(), "made a local CA");
        Ok((pem, key))
    }

    fn facts(&self, pem: &str) -> Result<CertificateFacts, CertificateProblem> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let path = self.certificate_path();
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| not_issued(&path.display(), "it holds no certificate"))?;
        CertificateFacts::of(&der).map_err(|why| not_issued(&path.display(), &why))
    }

    fn certificate_path(&self) -> PathBuf {
        self.directory.join("local-ca.pem")
    }

    fn key_path(&self) -> PathBuf {
        self.directory.join("local-ca.key")
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn set_life(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = epoch + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
}

fn failed(error: rcgen::Error) -> CertificateProblem {
    CertificateProblem::NotIssued { why: error.to_string() }
}

fn not_issued(path: &dyn std::fmt::Display, why: &str) -> CertificateProblem {
    CertificateProblem::NotIssued { why: format!("{path}: {why}") }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A time at which all tests issue.
    pub(in crate::certificates) fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    /// A certificate for these names that signs itself.
    pub(in crate::certificates) fn leaf(
        names: &[&str],
        from: Timestamp,
        until: Timestamp,
    ) -> CertificatePair {
        let (chain, key) = leaf_pem(names, from, until);
        CertificatePair::read(&chain, &key, PairPaths { cert: "c", key: "k" }).unwrap()
    }

    /// The same as PEM.
    pub(in crate::certificates) fn leaf_pem(
        names: &[&str],
        from: Timestamp,
        until: Timestamp,
    ) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let time = |at: Timestamp| {
            date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(at.as_second()).unwrap())
        };
        params.not_before = time(from);
        params.not_after = time(until);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn authority() -> (tempfile::TempDir, LocalAuthority) {
        let directory = tempfile::tempdir().unwrap();
        let authority = LocalAuthority::new(directory.path().join("certificates"));
        (directory, authority)
    }

    #[test]
    fn certificate_is_for_its_host_and_due_again_before_it_ends() {
        let (_directory, authority) = authority();
        assert_eq!(authority.certificate(), Ok(None));
        let host = "*.shop.localhost".parse().unwrap();
        let pair = authority.issue(&host, now()).unwrap();
        assert_eq!(pair.facts.fault(&host, "", now()), None);
        let other = "shop.localhost".parse().unwrap();
        assert!(pair.facts.fault(&other, "", now()).is_some());
        assert!(!authority.is_due(&pair, &host, now()));
        assert!(!authority.is_due(&pair, &host, now() + 19 * DAY));
        assert!(authority.is_due(&pair, &host, now() + 21 * DAY));
        assert!(authority.is_due(&pair, &other, now()));
    }

    #[test]
    fn authority_stays_and_its_files_are_private() {
        let (_directory, authority) = authority();
        let host = "shop.test".parse().unwrap();
        let pair = authority.issue(&host, now()).unwrap();
        let certificate = authority.certificate().unwrap().unwrap();
        authority.issue(&host, now()).unwrap();
        assert_eq!(authority.certificate().unwrap().unwrap(), certificate);
        for (path, mode) in [
            (authority.directory.clone(), 0o700),
            (authority.key_path(), 0o600),
            (authority.certificate_path(), 0o600),
        ] {
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}", path.display());
        }
        fs::remove_dir_all(&authority.directory).unwrap();
        authority.issue(&host, now()).unwrap();
        assert!(authority.is_due(&pair, &host, now()), "another authority issued it");
    }

    #[test]
    fn authority_without_its_key_issues_nothing_and_is_not_replaced() {
        let (_directory, authority) = authority();
        let host = "shop.test".parse().unwrap();
        authority.issue(&host, now()).unwrap();
        fs::write(authority.key_path(), "no key").unwrap();
        let refused = authority.issue(&host, now()).unwrap_err().to_string();
        assert!(refused.contains("local-ca.key: it holds no private key"), "{refused}");
        let later = now() + AUTHORITY_LIFE + DAY;
        let expired = authority.issue(&host, later).unwrap_err().to_string();
        assert!(expired.contains("it has expired"), "{expired}");
    }
}
