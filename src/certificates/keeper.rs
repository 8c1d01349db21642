//! The certificate of each host that wants one, over passes.
//!
//! Invariants: a host that has a certificate keeps one; a pass reads every file again.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::choice::{ServingChoice, choose};
use super::facts::CertificateFacts;
use super::files::PairText;
use super::kept::KeptPairs;
use super::local_authority::LocalAuthority;
use super::pair::{CertificatePair, PairPaths};
use super::problem::CertificateProblem;
use crate::model::{CertificateSource, HostPattern, TlsCertificate};

/// How long a problem with files must last before it is reported, if a certificate serves: programs that renew one replace its two
/// files one after the other.
const SETTLE: SignedDuration = SignedDuration::from_secs(5);

/// The state of a host's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificate {
    pub served: Option<TlsCertificate>,
    /// Of the one that is served.
    pub facts: Option<CertificateFacts>,
    /// What is wrong with the newest one, which may not be the one that is served.
    pub problem: Option<CertificateProblem>,
}

/// Keeps certificates.
#[derive(Debug)]
pub struct CertificateKeeper {
    kept: KeptPairs,
    authority: LocalAuthority,
    hosts: BTreeMap<HostPattern, KeptHost>,
}

#[derive(Default)]
struct KeptHost {
    serves: Option<CertificatePair>,
    /// The files as they were read last, with what they gave: they are parsed once.
    read: Option<(CertificateSource, PairText, Result<CertificatePair, CertificateProblem>)>,
    problem: Option<CertificateProblem>,
    /// Since when there has been a problem.
    since: Option<Timestamp>,
    is_saved: bool,
}

impl std::fmt::Debug for KeptHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptHost").field("serves", &self.serves).field("problem", &self.problem).finish()
    }
}

impl CertificateKeeper {
    /// With a directory of its own, which only this process may be able to read.
    pub fn new(directory: &Path) -> Self {
        Self {
            kept: KeptPairs::new(directory.join("kept")),
            authority: LocalAuthority::new(directory.to_owned()),
            hosts: BTreeMap::new(),
        }
    }

    /// What these hosts served before the last stop. Reads no file but its own, so that it does not hang where a certificate's does.
    pub fn load_kept<'a>(
        &mut self,
        hosts: impl Iterator<Item = &'a HostPattern>,
    ) -> BTreeMap<HostPattern, TlsCertificate> {
        let served = |host: &HostPattern| {
            let held = held(&mut self.hosts, &self.kept, host);
            Some((host.clone(), held.serves.as_ref()?.served.clone()))
        };
        hosts.filter_map(served).collect()
    }

    /// Reads and issues what these hosts want, and forgets all others. Blocks on the disk.
    pub fn pass(
        &mut self,
        wanted: &BTreeMap<HostPattern, CertificateSource>,
        now: Timestamp,
    ) -> BTreeMap<HostPattern, HostCertificate> {
        self.hosts.retain(|host, _| wanted.contains_key(host));
        let mut found = BTreeMap::new();
        for (host, source) in wanted {
            let held = held(&mut self.hosts, &self.kept, host);
            match source {
                CertificateSource::Files { cert, key } => {
                    held.read_files(source, PairPaths { cert, key }, host, now);
                }
                CertificateSource::LocalAuthority => held.renew(&self.authority, host, now),
            }
            held.save(&self.kept, host);
            found.insert(host.clone(), held.state(now));
        }
        self.kept.retain(&wanted.keys().collect::<Vec<_>>());
        found
    }
}

/// A host, which serves at first what served before the last stop.
fn held<'a>(
    hosts: &'a mut BTreeMap<HostPattern, KeptHost>,
    kept: &KeptPairs,
    host: &HostPattern,
) -> &'a mut KeptHost {
    hosts.entry(host.clone()).or_insert_with(|| KeptHost {
        serves: kept.load(host),
        is_saved: true,
        ..KeptHost::default()
    })
}

impl KeptHost {
    fn read_files(
        &mut self,
        source: &CertificateSource,
        paths: PairPaths<'_>,
        host: &HostPattern,
        now: Timestamp,
    ) {
        let newest = match PairText::read(paths) {
            Err(problem) => Err(problem),
            Ok(text) => match &self.read {
                Some((from, last, result)) if from == source && *last == text => result.clone(),
                _ => {
                    let result = text.pair(paths);
                    self.read = Some((source.clone(), text, result.clone()));
                    result
                }
            },
        };
        let choice = choose(self.serves.clone(), newest, host, paths.cert, now);
        self.take(choice, now);
    }

    fn renew(&mut self, authority: &LocalAuthority, host: &HostPattern, now: Timestamp) {
        if let Some(pair) = &self.serves
            && !authority.is_due(pair, host, now)
        {
            let serves = self.serves.clone();
            return self.take(ServingChoice { serves, problem: None }, now);
        }
        let issued = authority.issue(host, now);
        let choice = choose(self.serves.clone(), issued, host, "the certificate of the local CA", now);
        self.take(choice, now);
    }

    fn take(&mut self, choice: ServingChoice, now: Timestamp) {
        let ServingChoice { serves, problem } = choice;
        self.is_saved &= serves == self.serves;
        self.serves = serves;
        self.since = problem.as_ref().map(|_| self.since.unwrap_or(now));
        self.problem = problem;
    }

    /// A pair that cannot be written serves all the same; it is tried again.
    fn save(&mut self, kept: &KeptPairs, host: &HostPattern) {
        let Some(pair) = self.serves.as_ref().filter(|_| !self.is_saved) else { return };
        match kept.save(host, pair) {
            Ok(()) => self.is_saved = true,
            Err(error) => tracing::warn!(%host, %error, "cannot keep a certificate for the next start"),
        }
    }

    fn state(&self, now: Timestamp) -> HostCertificate {
        let has_settled = self.since.is_some_and(|since| now.duration_since(since) >= SETTLE);
        let is_shown = self.serves.is_none() || has_settled;
        HostCertificate {
            served: self.serves.as_ref().map(|pair| pair.served.clone()),
            facts: self.serves.as_ref().map(|pair| pair.facts.clone()),
            problem: self.problem.clone().filter(|_| is_shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use jiff::ToSpan;

    use super::super::local_authority::tests::{leaf_pem, now};
    use super::*;

    struct Rig {
        directory: tempfile::TempDir,
        keeper: CertificateKeeper,
        wanted: BTreeMap<HostPattern, CertificateSource>,
    }

    impl Rig {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name).display().to_string();
            let files = CertificateSource::Files { cert: path("shop.pem"), key: path("shop.key") };
            let keeper = CertificateKeeper::new(&directory.path().join("certificates"));
            Self { keeper, wanted: [("shop.test".parse().unwrap(), files)].into(), directory }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        /// What is served and what is wrong, so many seconds later.
        fn pass(&mut self, second: i64) -> (Option<String>, Option<String>) {
            let found = self.keeper.pass(&self.wanted, now() + second.seconds());
            let host = found.into_values().next().unwrap();
            let problem = host.problem.map(|problem| problem.to_string());
            (host.served.map(|served| served.chain.to_string()), problem)
        }
    }

    fn pem() -> (String, String) {
        leaf_pem(&["shop.test"], now() - 1.hour(), now() + 100.hours())
    }

    #[test]
    fn pair_is_served_until_its_successor_matches_whichever_file_comes_first() {
        let mut rig = Rig::new();
        let ((first, first_key), (second, second_key)) = (pem(), pem());
        fs::write(rig.path("shop.pem"), &first).unwrap();
        fs::write(rig.path("shop.key"), &first_key).unwrap();
        assert_eq!(rig.pass(0), (Some(first.clone()), None));
        fs::write(rig.path("shop.pem"), &second).unwrap();
        assert_eq!(rig.pass(2), (Some(first.clone()), None), "the key may follow");
        let (serves, problem) = rig.pass(8);
        assert_eq!(serves, Some(first));
        assert!(problem.unwrap().contains("does not match the key"));
        fs::write(rig.path("shop.key"), &second_key).unwrap();
        assert_eq!(rig.pass(10), (Some(second.clone()), None));
        fs::write(rig.path("shop.key"), &first_key).unwrap();
        assert_eq!(rig.pass(12), (Some(second), None), "a key may also come first");
    }

    #[test]
    fn last_good_pair_outlives_its_files_and_a_restart() {
        let mut rig = Rig::new();
        let (chain, key) = pem();
        fs::write(rig.path("shop.pem"), &chain).unwrap();
        fs::write(rig.path("shop.key"), &key).unwrap();
        assert_eq!(rig.pass(0).0.as_ref(), Some(&chain));
        fs::remove_file(rig.path("shop.key")).unwrap();
        assert_eq!(rig.pass(1).0.as_ref(), Some(&chain));
        rig.keeper = CertificateKeeper::new(&rig.path("certificates"));
        let (serves, _) = rig.pass(2);
        assert_eq!(serves.as_ref(), Some(&chain));
        assert!(rig.pass(9).1.unwrap().contains("shop.key: "));
        rig.keeper.pass(&BTreeMap::new(), now());
        rig.keeper = CertificateKeeper::new(&rig.path("certificates"));
        assert_eq!(rig.pass(10).0, None, "a host that wanted none has none left");
    }

    #[test]
    fn pair_that_served_before_a_restart_serves_before_any_file_is_read() {
        let mut rig = Rig::new();
        let (chain, key) = pem();
        fs::write(rig.path("shop.pem"), &chain).unwrap();
        fs::write(rig.path("shop.key"), &key).unwrap();
        rig.pass(0);
        fs::remove_file(rig.path("shop.pem")).unwrap();
        let mut keeper = CertificateKeeper::new(&rig.path("certificates"));
        let other: HostPattern = "other.test".parse().unwrap();
        let loaded = keeper.load_kept(rig.wanted.keys().chain([&other]));
        let chains: Vec<&str> = loaded.values().map(|served| &*served.chain).collect();
        assert_eq!(chains, [chain.as_str()]);
    }

    #[test]
    fn host_without_a_certificate_says_at_once_why() {
        let mut rig = Rig::new();
        let (serves, problem) = rig.pass(0);
        assert!(serves.is_none() && problem.unwrap().contains("cannot read"));
        fs::create_dir(rig.path("shop.pem")).unwrap();
        assert!(rig.pass(1).1.unwrap().contains("it is not a regular file"));
        fs::remove_dir(rig.path("shop.pem")).unwrap();
        fs::write(rig.path("shop.pem"), "hello").unwrap();
        fs::write(rig.path("shop.key"), "hello").unwrap();
        assert!(rig.pass(2).1.unwrap().contains("holds no certificate"));
        fs::write(rig.path("shop.pem"), pem().0).unwrap();
        assert!(rig.pass(3).1.unwrap().contains("holds no private key"));
        fs::write(rig.path("shop.key"), pem().1).unwrap();
        assert!(rig.pass(4).1.unwrap().contains("does not match the key"));
    }

    #[test]
    fn local_authority_issues_once_and_renews_in_time() {
        let mut rig = Rig::new();
        rig.wanted = [("shop.test".parse().unwrap(), CertificateSource::LocalAuthority)].into();
        let (first, problem) = rig.pass(0);
        assert!(first.is_some() && problem.is_none());
        rig.keeper = CertificateKeeper::new(&rig.path("certificates"));
        assert_eq!(rig.pass(60).0, first);
        let renewed = rig.pass(25 * 24 * 3600).0;
        assert!(renewed.is_some() && renewed != first);
    }
}
