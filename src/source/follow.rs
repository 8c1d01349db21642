//! The loop: look, wait until the directory is at rest, decide, act, say how things stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::look::{Eye, LOOK_WITHIN};
use super::plan::{Decision, Missing, Next, decide, newly_missing};
use super::removal_guard::RemovalGuard;
use super::scan::Scan;
use crate::controller::{Controller, ControllerError};
use crate::manifest::{Finding, parse};
use crate::model::{Condition, Reason, ServiceName};

/// The directory is looked at this often, whatever the events say: some file systems have none.
const RESCAN: Duration = Duration::from_secs(10);
/// A document has to be missing for so long before its service goes. Who saves a file by moving the old one away, or
/// writes it with `generate > a.yaml`, leaves the directory without it for a moment, and that moment costs the service.
const GONE_FOR: Duration = Duration::from_secs(2);
/// Problems of a directory that are shown; the log has no more either.
const SHOWN: usize = 5;

/// Follows the directory until told to stop. Services stay as they are then.
pub async fn follow(controller: Arc<Controller>, directory: PathBuf, shutdown: CancellationToken) {
    let changed = Arc::new(Notify::new());
    let mut eye = Eye::of(directory.clone());
    let mut follower = Follower {
        controller,
        source: directory.display().to_string(),
        removal_guard: RemovalGuard::default(),
    };
    let mut told = Vec::new();
    loop {
        let step = async {
            // Anew each time, and before the look: a directory that was replaced has another inode.
            let hints = if eye.hangs() { None } else { hints(&directory, &changed).await };
            let seen = follower.look(&mut eye).await;
            follower.pass(seen, &mut told).await;
            hints
        };
        let _hints = tokio::select! {
            () = shutdown.cancelled() => return,
            hints = step => hints,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = changed.notified() => {}
            () = follower.controller.source_confirmed() => {}
            () = tokio::time::sleep(RESCAN) => {}
        }
    }
}

/// Wakes when something in the directory changes; `None` where the system cannot say, or does not answer.
async fn hints(directory: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let (directory, wake) = (directory.to_owned(), Arc::clone(changed));
    let watching = tokio::task::spawn_blocking(move || watch(&directory, wake));
    let watcher = tokio::time::timeout(LOOK_WITHIN, watching).await.ok()?.ok()?;
    watcher.inspect_err(|error| tracing::debug!(%error, "no file events; only the rescan")).ok()
}

fn watch(directory: &Path, wake: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: Result<notify::Event, notify::Error>| {
        // Our own reading is an event, too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            wake.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Why a directory is not acted upon.
struct Stop {
    reason: Reason,
    message: String,
}

impl From<ControllerError> for Stop {
    fn from(refused: ControllerError) -> Self {
        let mut message = refused.to_string();
        match &refused {
            ControllerError::Images(images) => {
                images.iter().for_each(|i| message += &format!("; {} ({}): {}", i.service, i.origin, i.why));
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

/// What acts on a directory.
struct Follower {
    controller: Arc<Controller>,
    source: String,
    removal_guard: RemovalGuard,
}

impl Follower {
    /// What the directory holds at rest; the documents that it lacks have been missing for `GONE_FOR`. Whatever else
    /// changed waits with them: it is acted upon together.
    async fn look(&self, eye: &mut Eye) -> Scan {
        let mut missing = Missing::default();
        loop {
            let seen = eye.at_rest().await;
            match missing.next(self.newly_missing(&seen).await) {
                Next::Act => return seen,
                Next::LookAgain => tokio::time::sleep(GONE_FOR).await,
                Next::GiveUp => {
                    return Scan::Broken(format!(
                        "{}: other documents are missing at each look",
                        self.source
                    ));
                }
            }
        }
    }

    /// Where the directory or the store cannot be read, nothing: acting on it will say so.
    async fn newly_missing(&self, seen: &Scan) -> BTreeSet<ServiceName> {
        let Scan::Read(sources) = seen else { return BTreeSet::new() };
        match (parse(sources), self.controller.declared_by(&self.source).await) {
            (Ok(documents), Ok(declared)) => {
                newly_missing(&documents, &declared, &self.controller.source_removals())
            }
            _ => BTreeSet::new(),
        }
    }

    /// Acts on one look. How things stand becomes conditions, and is logged where it is new.
    async fn pass(&mut self, seen: Scan, told: &mut Vec<Condition>) {
        let stopped = self.act(seen).await.err();
        self.controller.source_stopped(stopped.map(|stop| (stop.reason, stop.message)));
        let conditions = self.controller.source_conditions();
        for Condition { reason, message, .. } in conditions.iter().filter(|now| !told.contains(now)) {
            tracing::warn!(source = self.source, %reason, message, "the manifests directory is held back");
        }
        *told = conditions;
    }

    async fn act(&mut self, seen: Scan) -> Result<(), Stop> {
        let Self { controller, source, removal_guard } = self;
        let refused = |message| Stop { reason: Reason::ManifestsRefused, message };
        let sources = match seen {
            Scan::Read(sources) => sources,
            Scan::Broken(why) => return Err(refused(format!("{why}; nothing of the directory is applied"))),
            Scan::Unreadable(why) => {
                let message = format!("{why}; nothing is removed");
                return Err(Stop { reason: Reason::DeletionHeld, message });
            }
        };
        let documents = parse(&sources).map_err(|findings| refused(problems(&findings)))?;
        let declared = controller.declared_by(source).await?;
        let (removals, now) = (controller.source_removals(), controller.mono());
        let Decision { apply, remove, held } = decide(&documents, &declared, &removals, removal_guard, now);
        controller.source_holds(held, &remove);
        if apply.is_empty() && remove.is_empty() {
            return Ok(());
        }
        // Before the effect: what fails on its way is still declared, and does not count as gone.
        removal_guard.release(remove.iter().filter(|name| !removals.confirmed.contains(*name)), now);
        controller.declare(source, &apply, &remove).await?;
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
    async fn a_change_in_the_directory_is_noticed() {
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
