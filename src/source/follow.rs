//! The loop: look, wait until the directory is at rest, decide, act, say how things stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::plan::{Decision, decide};
use super::scan::{Scan, scan};
use crate::controller::{Controller, Refused};
use crate::manifest::{Finding, parse};
use crate::model::{Reason, ServiceName};

/// The directory is looked at this often, whatever the events say: some file systems have none.
const RESCAN: Duration = Duration::from_secs(10);
/// Between two looks that must see the same: longer than an editor or `cp` takes from one write to the next.
const AT_REST: Duration = Duration::from_millis(200);
/// Problems of a directory that are shown; the log has no more either.
const SHOWN: usize = 5;

/// Follows the directory until told to stop. Services stay as they are then.
pub async fn follow(controller: Arc<Controller>, directory: PathBuf, shutdown: CancellationToken) {
    let source = directory.display().to_string();
    let changed = Arc::new(Notify::new());
    let mut told = String::new();
    loop {
        // Anew each time, and before the look: a directory that was replaced has another inode.
        let _hints = hints(&directory, &changed);
        let step = async {
            let seen = at_rest(&directory).await;
            pass(&controller, &source, seen, &mut told).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = step => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = changed.notified() => {}
            () = controller.source_confirmed() => {}
            () = tokio::time::sleep(RESCAN) => {}
        }
    }
}

/// Wakes when something in the directory changes; `None` where the system cannot say.
fn hints(directory: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let wake = Arc::clone(changed);
    let watcher = notify::recommended_watcher(move |event: Result<notify::Event, notify::Error>| {
        // Our own reading is an event, too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            wake.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching.inspect_err(|error| tracing::debug!(%error, "no file events; only the rescan")).ok()
}

/// What two looks in a row saw.
async fn at_rest(directory: &Path) -> Scan {
    let mut before = look(directory).await;
    loop {
        tokio::time::sleep(AT_REST).await;
        let now = look(directory).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

async fn look(directory: &Path) -> Scan {
    let path = directory.to_owned();
    let looked = tokio::task::spawn_blocking(move || scan(&path)).await;
    looked.unwrap_or_else(|error| Scan::Unreadable(error.to_string()))
}

/// Acts on one look. How things stand becomes a condition, and is logged where it is new.
async fn pass(controller: &Controller, source: &str, seen: Scan, told: &mut String) {
    let (condition, held) = match act(controller, source, seen).await {
        Ok(held) if held.is_empty() => (None, held),
        Ok(held) => {
            let names = held.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let message =
                format!("{source} does not declare {names} any more; nothing is removed until `ctl confirm`");
            (Some((Reason::DeletionHeld, message)), held)
        }
        Err(stop) => (Some((stop.reason, stop.message)), Vec::new()),
    };
    let message = condition.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
    if message != *told && !message.is_empty() {
        tracing::warn!(source, message, "the manifests directory is held back");
    }
    *told = message;
    controller.source_says(condition, held);
}

/// Why a directory is not acted upon.
struct Stop {
    reason: Reason,
    message: String,
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        let mut message = refused.to_string();
        match &refused {
            Refused::Images(images) => {
                images.iter().for_each(|i| message += &format!("; {} ({}): {}", i.service, i.origin, i.why));
            }
            Refused::Invalid(problems) => {
                problems.iter().take(SHOWN).for_each(|p| {
                    message += &format!("; {}: {}", p.problem.path, p.problem.message);
                });
            }
            _ => {}
        }
        Self { reason: Reason::ManifestsRefused, message }
    }
}

async fn act(controller: &Controller, source: &str, seen: Scan) -> Result<Vec<ServiceName>, Stop> {
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
    let confirmed: BTreeSet<ServiceName> = controller.source_confirmations();
    let Decision { apply, remove, held } = decide(&documents, &declared, &confirmed);
    if !remove.is_empty() {
        controller.delete_declared(source, &remove).await?;
    }
    if !apply.is_empty() {
        controller.apply_declared(source, &apply).await?;
    }
    Ok(held)
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
        let _hints = hints(dir.path(), &changed).expect("this system has file events");
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
