//! Polls the directory until it is settled, with a bound on everything: how long a scan takes, and how long the directory
//! may keep changing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::scan::{Scan, scan};
use crate::clock::Clock;
use crate::model::Millis;

/// Between two scans that must be equal: longer than an editor or `cp` takes from one write to the next.
const SETTLED_AFTER: Duration = Duration::from_millis(200);
/// A directory that changes for longer is reported, and nothing of it is applied.
const RESTLESS: Millis = Millis::secs(10);
/// A scan takes milliseconds; on a network file system that is away it may never end.
pub(super) const SCAN_WITHIN: Duration = Duration::from_secs(20);

/// Scans a directory, at most one scan at a time; a hung scan is awaited again rather than duplicated.
pub(super) struct DirectoryPoller {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    in_progress: Option<JoinHandle<Scan>>,
}

impl DirectoryPoller {
    pub(super) fn new(directory: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock, in_progress: None }
    }

    /// Whether a scan has not returned.
    pub(super) fn hangs(&self) -> bool {
        self.in_progress.is_some()
    }

    /// The result of two equal scans in a row.
    pub(super) async fn stable_scan(&mut self) -> Scan {
        let directory = self.directory.display().to_string();
        let began = self.clock.mono();
        let mut before = self.scan().await;
        loop {
            sleep(SETTLED_AFTER).await;
            let now = self.scan().await;
            match settled(&directory, &before, now, self.clock.mono().since(began)) {
                Ok(scan) => return scan,
                Err(now) => before = now,
            }
        }
    }

    async fn scan(&mut self) -> Scan {
        let path = self.directory.clone();
        let scanning =
            self.in_progress.get_or_insert_with(|| tokio::task::spawn_blocking(move || scan(&path)));
        let Ok(scanned) = timeout(SCAN_WITHIN, scanning).await else {
            let directory = self.directory.display();
            let within = SCAN_WITHIN.as_secs();
            return Scan::Unreadable(format!("{directory}: cannot be read within {within}s"));
        };
        self.in_progress = None;
        scanned.unwrap_or_else(|error| Scan::Unreadable(error.to_string()))
    }
}

/// What two scans come to; an error with the second where another one is due.
fn settled(directory: &str, before: &Scan, now: Scan, elapsed: Millis) -> Result<Scan, Scan> {
    if now == *before {
        return Ok(now);
    }
    if elapsed < RESTLESS {
        return Err(now);
    }
    let what = changing(before, &now).unwrap_or(directory);
    Ok(Scan::Broken(format!("{what}: still changing after {RESTLESS}")))
}

/// The first file that differs between two scans.
fn changing<'a>(before: &'a Scan, now: &'a Scan) -> Option<&'a str> {
    let (Scan::Read(before), Scan::Read(now)) = (before, now) else { return None };
    let differs = now.iter().find(|source| !before.contains(source));
    let differs = differs.or_else(|| before.iter().find(|source| !now.contains(source)));
    differs.map(|source| source.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::manifest::ManifestSource;

    fn scanned(growing: usize) -> Scan {
        Scan::Read(vec![
            ManifestSource::new("d/a.yaml", "a"),
            ManifestSource::new("d/b.yaml", "b".repeat(growing)),
        ])
    }

    #[test]
    fn settled_needs_two_equal_scans_within_the_bound() {
        let soon = Millis(RESTLESS.0 - 200);
        let broken = |what: &str| Ok(Scan::Broken(format!("{what}: still changing after 10s")));
        let away = || Scan::Unreadable("away".into());
        let rows = [
            (scanned(3), scanned(3), soon, Ok(scanned(3))),
            (scanned(3), scanned(3), RESTLESS, Ok(scanned(3))),
            (scanned(3), scanned(4), soon, Err(scanned(4))),
            (scanned(3), scanned(4), RESTLESS, broken("d/b.yaml")),
            (scanned(3), Scan::Read(Vec::new()), RESTLESS, broken("d/a.yaml")),
            (scanned(3), away(), RESTLESS, broken("d")),
            (away(), away(), RESTLESS, Ok(away())),
        ];
        for (before, now, elapsed, expected) in rows {
            assert_eq!(settled("d", &before, now, elapsed), expected, "after {before:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stable_scan_reports_a_hung_scan_and_does_not_start_another() {
        let (_keeps, hangs) = tokio::sync::oneshot::channel::<Scan>();
        let mut poller = DirectoryPoller::new("d".into(), Arc::new(VirtualClock::new(1)));
        poller.in_progress =
            Some(tokio::spawn(async { hangs.await.unwrap_or_else(|e| Scan::Broken(e.to_string())) }));
        assert_eq!(poller.stable_scan().await, Scan::Unreadable("d: cannot be read within 20s".into()));
        assert!(poller.hangs());
    }
}
