//! Keeps the certificates of HTTPS routes: reads which are wanted, has their files read, hands them to the registry and shows what is
//! wrong.
//!
//! Invariants: no table is published before the certificates have been read once, or did not come in time; while the store or the disk
//! does not answer, what serves continues to serve.
//! Deliberately absent: which certificate serves (`certificates`), TLS (the balancer).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::certificate_report::{WantedCertificates, report, wanted};
use crate::certificates::{AuthorityCertificate, CertificateKeeper, HostCertificate, LocalAuthority};
use crate::clock::Clock;
use crate::controller::{CertificateReport, CertificateSnapshot, ServedCertificates};
use crate::events::{EventWriter, append_to};
use crate::model::{Event, EventKind, EventReason, HostPattern, Service, ServiceName, key};
use crate::registry::{HttpsSettings, Registry};
use crate::store::{Store, StoreError, Txn, WatchEvent};

/// How often files are read: after a renewal the new certificate serves within this time.
const POLL: Duration = Duration::from_secs(2);
/// Wait after a failed read of the store.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the first table waits for certificates: a file system may hang, and other services need not wait for it.
const FIRST_PASS_MAX: Duration = Duration::from_secs(3);
/// A later pass that takes longer is reported, and continues.
const PASS_MAX: Duration = Duration::from_secs(10);

/// What is needed to keep certificates.
pub(super) struct CertificateTask {
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) served: Arc<ServedCertificates>,
    /// The port of the HTTPS listener; `None` without one.
    pub(super) port: Option<u16>,
    /// Where the last good certificates and the local CA are kept.
    pub(super) directory: PathBuf,
}

/// What a pass found; the keeper comes back with it.
struct CertificatePass {
    keeper: CertificateKeeper,
    found: BTreeMap<HostPattern, HostCertificate>,
    authority: Option<AuthorityCertificate>,
}

/// The keeper is in a pass or between two.
enum KeeperState {
    Idle(Box<CertificateKeeper>),
    Running { pass: JoinHandle<CertificatePass>, wanted: WantedCertificates },
}

/// The task while it runs.
pub(super) struct KeptCertificates {
    task: CertificateParts,
    state: Option<KeeperState>,
    last: CertificateReport,
    is_first: bool,
}

struct CertificateParts {
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    served: Arc<ServedCertificates>,
    port: Option<u16>,
    directory: PathBuf,
}

impl CertificateTask {
    /// Reads all certificates, within a bound; then the first table can be published.
    pub(super) async fn begin(self) -> KeptCertificates {
        let Self { registry, store, clock, served, port, directory } = self;
        let mut keeper = Box::new(CertificateKeeper::new(&directory));
        let task = CertificateParts { registry, store, clock, served, port, directory };
        let mut kept =
            KeptCertificates { task, state: None, last: CertificateReport::default(), is_first: true };
        let wanted = async {
            let (wanted, _) = kept.task.wanted().await?;
            // the first table must not be without them, however long a file hangs
            let certificates = keeper.load_kept(wanted.keys());
            kept.task.registry.serve_https(HttpsSettings { port, certificates }).await?;
            Ok(wanted)
        };
        let wanted = wanted.await;
        kept.state = Some(KeeperState::Idle(keeper));
        let first = match wanted {
            Ok(wanted) => kept.pass(&wanted, FIRST_PASS_MAX).await,
            Err(error) => Err(error),
        };
        if let Err(error) = first {
            tracing::warn!(%error, "cannot read which certificates are wanted");
        }
        kept
    }
}

impl KeptCertificates {
    /// Keeps them until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let follow = async {
            loop {
                if let Err(error) = self.follow_one_watch().await {
                    if error == StoreError::Closed {
                        return;
                    }
                    tracing::warn!(%error, "cannot read which certificates are wanted; those that serve stay");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        shutdown.run_until_cancelled(follow).await.unwrap_or_default();
    }

    async fn follow_one_watch(&mut self) -> Result<(), StoreError> {
        let (mut wanted, revision) = self.task.wanted().await?;
        let mut changes = self.task.store.watch(key::SERVICES, revision + 1).await?;
        loop {
            self.pass(&wanted, PASS_MAX).await?;
            let mut event = match tokio::time::timeout(POLL, changes.next()).await {
                Err(_) => continue,
                Ok(event) => event,
            };
            loop {
                match event {
                    Some(WatchEvent::Changes { .. }) => {}
                    Some(WatchEvent::Resync) | None => return Ok(()),
                }
                match changes.next().now_or_never() {
                    Some(next) => event = next,
                    None => break,
                }
            }
            wanted = self.task.wanted().await?.0;
        }
    }

    /// Has all files read, and takes what was found; a pass that takes too long is waited for again in the next one.
    async fn pass(&mut self, wanted: &WantedCertificates, most: Duration) -> Result<(), StoreError> {
        let now = self.task.clock.wall();
        let (mut pass, wanted) = match self.state.take() {
            Some(KeeperState::Idle(keeper)) => (self.task.start(*keeper, wanted, now), wanted.clone()),
            Some(KeeperState::Running { pass, wanted }) => (pass, wanted),
            // set again below, whatever comes of a pass
            None => return Ok(()),
        };
        match tokio::time::timeout(most, &mut pass).await {
            Ok(Ok(CertificatePass { keeper, found, authority })) => {
                self.state = Some(KeeperState::Idle(Box::new(keeper)));
                self.take(&wanted, found, authority, now).await
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "reading certificates failed");
                let keeper = CertificateKeeper::new(&self.task.directory);
                self.state = Some(KeeperState::Idle(Box::new(keeper)));
                Ok(())
            }
            Err(_) => {
                tracing::warn!("reading certificates takes long; those that serve stay");
                self.state = Some(KeeperState::Running { pass, wanted });
                Ok(())
            }
        }
    }

    async fn take(
        &mut self,
        wanted: &WantedCertificates,
        found: BTreeMap<HostPattern, HostCertificate>,
        authority: Option<AuthorityCertificate>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let certificates = report(wanted, &found, self.task.port.is_some(), now);
        let served = found.into_iter().filter_map(|(host, found)| Some((host, found.served?))).collect();
        let settings = HttpsSettings { port: self.task.port, certificates: served };
        self.task.registry.serve_https(settings).await?;
        let report = CertificateReport { certificates, authority };
        self.task.served.set(report.clone());
        let last = std::mem::replace(&mut self.last, report);
        if !std::mem::take(&mut self.is_first) {
            self.task.write_changes(&last.certificates, &self.last.certificates, now).await;
        }
        Ok(())
    }
}

impl CertificateParts {
    /// What services want, and the revision of the store that says so.
    async fn wanted(&self) -> Result<(WantedCertificates, u64), StoreError> {
        let listing = self.store.list(key::SERVICES).await?;
        let services: Vec<Service> =
            listing.entries.iter().map(|entry| entry.decode()).collect::<Result<_, _>>()?;
        Ok((wanted(&services), listing.revision))
    }

    fn start(
        &self,
        mut keeper: CertificateKeeper,
        wanted: &WantedCertificates,
        now: Timestamp,
    ) -> JoinHandle<CertificatePass> {
        let sources = wanted.iter().map(|(host, wanted)| (host.clone(), wanted.source.clone())).collect();
        let authority = LocalAuthority::new(self.directory.clone());
        tokio::task::spawn_blocking(move || {
            let found = keeper.pass(&sources, now);
            // what is wrong with it is the problem of each certificate
            let authority = authority.certificate().ok().flatten();
            CertificatePass { keeper, found, authority }
        })
    }

    /// Writes an event for each certificate that broke, changed its reason, or is another one.
    async fn write_changes(
        &self,
        before: &[CertificateSnapshot],
        now: &[CertificateSnapshot],
        at: Timestamp,
    ) {
        for one in now {
            let last = before.iter().find(|last| last.host == one.host);
            let (kind, reason, message) = match (&one.reason, one.state.is_broken()) {
                (Some(why), true) if last.is_none_or(|last| last.reason.as_ref() != Some(why)) => {
                    let message = format!("HTTPS of {}: {why}", one.host);
                    (EventKind::Warning, EventReason::CertificateInvalid, message)
                }
                (_, false)
                    if last.is_none_or(|last| last.state.is_broken() || last.not_after != one.not_after) =>
                {
                    let until = one.not_after.map(|at| at.strftime("%Y-%m-%d").to_string());
                    let message = format!(
                        "HTTPS of {}: serves the certificate from {}, valid until {}",
                        one.host,
                        one.source,
                        until.unwrap_or_default()
                    );
                    (EventKind::Normal, EventReason::CertificateLoaded, message)
                }
                _ => continue,
            };
            for service in &one.services {
                self.write(service, kind, reason, &message, at).await;
            }
        }
    }

    async fn write(
        &self,
        service: &ServiceName,
        kind: EventKind,
        reason: EventReason,
        message: &str,
        at: Timestamp,
    ) {
        let object = format!("service/{service}");
        let event = Event { at, object, kind, reason, message: message.to_owned(), cut: Vec::new() };
        let written = async {
            let ops = append_to(&*self.store, service, EventWriter::Daemon, &[event]).await?;
            self.store.txn(Txn { compare: Vec::new(), ops }).await
        };
        if let Err(error) = written.await {
            tracing::warn!(%service, %error, "cannot write the event of a certificate");
        }
    }
}
