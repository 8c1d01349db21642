//! Looking at the directory until it is at rest, with a bound on everything: how long a look takes, and how long the
//! directory may go on changing.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::scan::{Scan, scan};

/// Between two looks that must see the same: longer than an editor or `cp` takes from one write to the next.
const AT_REST: Duration = Duration::from_millis(200);
/// A directory that changes for longer is told of: whoever writes it never gets done, and nothing of it is applied.
const RESTLESS: Duration = Duration::from_secs(10);
/// A look takes milliseconds; a network file system that is away may keep one for ever.
pub(super) const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// Looks at a directory, once at a time: a look that hangs is waited for again, and never joined by another.
pub(super) struct Eye {
    directory: PathBuf,
    under_way: Option<JoinHandle<Scan>>,
}

impl Eye {
    pub(super) fn of(directory: PathBuf) -> Self {
        Self { directory, under_way: None }
    }

    /// Whether a look has not come back.
    pub(super) fn hangs(&self) -> bool {
        self.under_way.is_some()
    }

    /// What two looks in a row saw.
    pub(super) async fn at_rest(&mut self) -> Scan {
        let directory = self.directory.display().to_string();
        let began = Instant::now();
        let mut before = self.look().await;
        loop {
            sleep(AT_REST).await;
            let now = self.look().await;
            match settled(&directory, &before, now, began.elapsed()) {
                Ok(seen) => return seen,
                Err(now) => before = now,
            }
        }
    }

    async fn look(&mut self) -> Scan {
        let path = self.directory.clone();
        let look = self.under_way.get_or_insert_with(|| tokio::task::spawn_blocking(move || scan(&path)));
        let Ok(looked) = timeout(LOOK_WITHIN, look).await else {
            let (directory, within) = (self.directory.display(), LOOK_WITHIN.as_secs());
            return Scan::Unreadable(format!("{directory}: cannot be read within {within}s"));
        };
        self.under_way = None;
        looked.unwrap_or_else(|error| Scan::Unreadable(error.to_string()))
    }
}

/// What is to be acted upon after two looks; an error with the second where another one is due.
fn settled(directory: &str, before: &Scan, now: Scan, elapsed: Duration) -> Result<Scan, Scan> {
    if now == *before {
        return Ok(now);
    }
    if elapsed < RESTLESS {
        return Err(now);
    }
    let (what, within) = (changing(before, &now).unwrap_or(directory), RESTLESS.as_secs());
    Ok(Scan::Broken(format!("{what}: has not stopped changing for {within}s")))
}

/// The first file that differs between two looks.
fn changing<'a>(before: &'a Scan, now: &'a Scan) -> Option<&'a str> {
    let (Scan::Read(before), Scan::Read(now)) = (before, now) else { return None };
    let differs = now.iter().find(|source| !before.contains(source));
    let differs = differs.or_else(|| before.iter().find(|source| !now.contains(source)));
    differs.map(|source| source.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Source;

    fn seen(growing: usize) -> Scan {
        Scan::Read(vec![Source::new("d/a.yaml", "a"), Source::new("d/b.yaml", "b".repeat(growing))])
    }

    #[test]
    fn two_looks_must_agree_before_long() {
        let (soon, late) = (RESTLESS - AT_REST, RESTLESS);
        let broken = |what: &str| Ok(Scan::Broken(format!("{what}: has not stopped changing for 10s")));
        let away = || Scan::Unreadable("away".into());
        let rows = [
            (seen(3), seen(3), soon, Ok(seen(3))),
            (seen(3), seen(3), late, Ok(seen(3))),
            (seen(3), seen(4), soon, Err(seen(4))),
            (seen(3), seen(4), late, broken("d/b.yaml")),
            (seen(3), Scan::Read(Vec::new()), late, broken("d/a.yaml")),
            (seen(3), away(), late, broken("d")),
            (away(), away(), late, Ok(away())),
        ];
        for (before, now, elapsed, expected) in rows {
            assert_eq!(settled("d", &before, now, elapsed), expected, "after {before:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_told_of_and_not_repeated() {
        let (_keeps, hangs) = tokio::sync::oneshot::channel::<Scan>();
        let mut eye = Eye::of("d".into());
        eye.under_way =
            Some(tokio::spawn(async { hangs.await.unwrap_or_else(|e| Scan::Broken(e.to_string())) }));
        assert_eq!(eye.at_rest().await, Scan::Unreadable("d: cannot be read within 20s".into()));
        assert!(eye.hangs());
    }
}
