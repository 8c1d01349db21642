//! The loop: scan until the directory is settled, decide, act, report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::plan::{DirectoryPlan, MissingDocuments, MissingVerdict, decide, newly_missing};
use super::poller::{DirectoryPoller, SCAN_WITHIN};
use super::scan::Scan;
use crate::clock::Clock;
use crate::controller::{ControllerError, ManifestsDirectory, Writes};
use crate::manifest::{Finding, parse};
use crate::model::{Condition, ObjectRef, Reason, RecentDeletions};

/// The directory is scanned this often, whatever the events say: some file systems have none.
const RESCAN: Duration = Duration::from_secs(10);
/// A document has to be missing for so long before its object is deleted. An editor that moves the old file away, or
/// `generate > a.yaml`, leaves the directory without it for a moment, and that moment must not cost the service.
const GONE_FOR: Duration = Duration::from_secs(2);
/// Problems of a directory that are shown; the log has no more either.
const SHOWN: usize = 5;

/// What following a directory needs.
pub struct SourceParts {
    pub writes: Arc<Writes>,
    /// Where the state of the directory is reported.
    pub status: Arc<ManifestsDirectory>,
    pub clock: Arc<dyn Clock>,
    /// Whether events of the file system start a scan; without, only the rescan finds changes.
    pub file_events: bool,
}

/// Follows the directory until shutdown, which leaves what it declared as it is.
pub async fn follow(parts: SourceParts, directory: PathBuf, shutdown: CancellationToken) {
    let SourceParts { writes, status, clock, file_events } = parts;
    let changed = Arc::new(Notify::new());
    let mut poller = DirectoryPoller::new(directory.clone(), Arc::clone(&clock));
    let mut follower = Follower {
        writes,
        status,
        clock,
        source: directory.display().to_string(),
        recent: RecentDeletions::default(),
    };
    let mut logged = Vec::new();
    loop {
        let step = async {
            // Watched again each time, and before the scan: a directory that was replaced has another inode.
            let watched = file_events && !poller.hangs();
            let hints = if watched { hints(&directory, &changed).await } else { None };
            let scan = follower.scan(&mut poller).await;
            follower.pass(scan, &mut logged).await;
            hints
        };
        let _hints = tokio::select! {
            () = shutdown.cancelled() => return,
            hints = step => hints,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = changed.notified() => {}
            () = follower.status.confirmed() => {}
            () = tokio::time::sleep(RESCAN) => {}
        }
    }
}

/// Notifies of changes in the directory; `None` where the file system has no events, or does not answer.
async fn hints(directory: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let directory = directory.to_owned();
    let wake = Arc::clone(changed);
    let watching = tokio::task::spawn_blocking(move || watch(&directory, wake));
    let watcher = tokio::time::timeout(SCAN_WITHIN, watching).await.ok()?.ok()?;
    watcher.inspect_err(|error| tracing::debug!(%error, "no file events; only the rescan")).ok()
}

fn watch(directory: &Path, wake: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: Result<notify::Event, notify::Error>| {
        // Our own reads are events, too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            wake.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Why a directory is not acted upon.
struct SourceStop {
    reason: Reason,
    message: String,
}

impl From<ControllerError> for SourceStop {
    fn from(refused: ControllerError) -> Self {
        let mut message = refused.to_string();
        match &refused {
            ControllerError::Images(images) => {
                images
                    .iter()
                    .for_each(|i| message += &format!("; {} ({}): {}", i.object.name, i.origin, i.why));
            }
            ControllerError::Invalid(problems) => {
                problems.iter().take(SHOWN).for_each(|p| {
                    message += &format!("; {}: {}", p.problem.path, p.problem.message);
                });
            }
            _ => {}
        }
        Self { reason: Reason::ManifestsRefused, message }
    }
}

/// Acts on a directory.
struct Follower {
    writes: Arc<Writes>,
    status: Arc<ManifestsDirectory>,
    clock: Arc<dyn Clock>,
    source: String,
    /// Objects that the directory deleted without confirmation.
    recent: RecentDeletions<ObjectRef>,
}

impl Follower {
    /// A settled scan; the documents that it lacks have been missing for `GONE_FOR`. Other changes wait with them: all of
    /// them are acted upon together.
    async fn scan(&self, poller: &mut DirectoryPoller) -> Scan {
        let mut missing = MissingDocuments::default();
        loop {
            let scan = poller.stable_scan().await;
            match missing.next(self.newly_missing(&scan).await) {
                MissingVerdict::Act => return scan,
                MissingVerdict::ScanAgain => tokio::time::sleep(GONE_FOR).await,
                MissingVerdict::GiveUp => {
                    return Scan::Broken(format!(
                        "{}: other documents are missing at each scan",
                        self.source
                    ));
                }
            }
        }
    }

    /// Nothing where the directory or the store cannot be read: acting on it reports that.
    async fn newly_missing(&self, scan: &Scan) -> BTreeSet<ObjectRef> {
        let Scan::Read(sources) = scan else { return BTreeSet::new() };
        match (parse(sources), self.writes.declared_by(&self.source).await) {
            (Ok(documents), Ok(declared)) => newly_missing(&documents, &declared, &self.status.removals()),
            _ => BTreeSet::new(),
        }
    }

    /// Acts on one scan. What stops it becomes conditions, and is logged where it is new.
    async fn pass(&mut self, scan: Scan, logged: &mut Vec<Condition>) {
        let stopped = self.act(scan).await.err();
        self.status.set_stopped(stopped.map(|stop| (stop.reason, stop.message)));
        let conditions = self.status.conditions();
        for Condition { reason, message, .. } in conditions.iter().filter(|now| !logged.contains(now)) {
            tracing::warn!(source = self.source, %reason, message, "the manifests directory is held back");
        }
        *logged = conditions;
    }

    async fn act(&mut self, scan: Scan) -> Result<(), SourceStop> {
        let refused = |message| SourceStop { reason: Reason::ManifestsRefused, message };
        let sources = match scan {
            Scan::Read(sources) => sources,
            Scan::Broken(why) => return Err(refused(format!("{why}; nothing of the directory is applied"))),
            Scan::Unreadable(why) => {
                let message = format!("{why}; nothing is removed");
                return Err(SourceStop { reason: Reason::DeletionHeld, message });
            }
        };
        let documents = parse(&sources).map_err(|findings| refused(problems(&findings)))?;
        let declared = self.writes.declared_by(&self.source).await?;
        let removals = self.status.removals();
        let now = self.clock.mono();
        let DirectoryPlan { apply, remove, held } =
            decide(&documents, &declared, &removals, &self.recent, now);
        self.status.set_held(held, &remove);
        if apply.is_empty() && remove.is_empty() {
            return Ok(());
        }
        // Before the effect: what fails is still declared, and does not count as gone.
        self.recent.forget(|_| false, now);
        self.recent.record(remove.iter().filter(|object| !removals.confirmed.contains(*object)), now);
        self.writes.declare(&self.source, &apply, &remove).await?;
        Ok(())
    }
}

/// `dir/a.yaml:3:5: spec.image: …`, the first of them.
fn problems(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = findings.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}; nothing of the directory is applied", lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hints_notify_of_every_change_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let _hints = hints(dir.path(), &changed).await.expect("this system has file events");
        let file = dir.path().join("a.yaml");
        for change in ["write", "again", "rename", "remove"] {
            match change {
                "rename" => std::fs::rename(&file, dir.path().join("b.yaml")).unwrap(),
                "remove" => std::fs::remove_file(dir.path().join("b.yaml")).unwrap(),
                text => std::fs::write(&file, text).unwrap(),
            }
            let noticed = tokio::time::timeout(Duration::from_secs(20), changed.notified()).await;
            assert!(noticed.is_ok(), "{change} was not noticed");
        }
    }
}
