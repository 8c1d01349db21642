//! Waiting for what a write began. The daemon owns the operation: here it is only watched, and looked for again when the
//! daemon restarts.

#![allow(clippy::result_large_err)] // an error ends the waiting: it is made once

mod follow;
mod verdict;

pub(crate) use verdict::{Aftermath, End, failed};

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain::api::client::ApiClient;
use coxswain::api::types::{ApiError, Awaited, OperationProgress, WriteAction, WriteResult};
use coxswain::daemon::wall_time;
use coxswain::model::{Generation, Millis, Revision, ServiceName};
use futures::stream::{SelectAll, StreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::follow::{Report, follow};
use crate::error::CliError;
use crate::output::picture::{self, Scene};
use crate::output::story::Story;
use crate::output::traffic::Meter;
use crate::output::{Live, Ui, progress};
use crate::session::Session;

/// Between two pictures while nothing changes but the time.
const REDRAW_PAUSE: Duration = Duration::from_millis(250);
/// A balancer that cannot take a table tries again every second; one that still cannot after three tries has a full disk
/// or the like, and nothing that is waited for comes about before someone mends that.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(3);
/// `--timeout` at most: a year, so that adding it to a clock never overflows.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Name of the picture that says what Ctrl-C does; sorts nowhere, no service can be called so.
const HINT: &str = "?";

/// How a command waits.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WaitArgs {
    /// Return at once; the operation goes on in the daemon
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) detach: bool,
    /// Stop waiting after this time (`90s`, `5m`); the operation goes on in the daemon
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Millis>,
}

/// When a waiting that begins now ends.
pub(crate) fn deadline(timeout: Option<Millis>) -> Option<Instant> {
    timeout.map(|timeout| Instant::now() + Duration::from_millis(timeout.0).min(TIMEOUT_MAX))
}

/// Passes at the deadline, and never without one.
pub(crate) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits until everything that these writes began has ended, unless the arguments say otherwise.
pub(crate) async fn wait(
    session: &Session<'_>,
    results: &[WriteResult],
    awaited: Awaited,
    args: &WaitArgs,
) -> Result<(), CliError> {
    if args.detach || results.is_empty() {
        return Ok(());
    }
    Operation::new(session, results).run(results, awaited, deadline(args.timeout)).await
}

/// One service that is waited for.
pub(super) struct Watched {
    name: ServiceName,
    /// What was written; reports from before the daemon took it in are of the state before.
    generation: Generation,
    deletes: bool,
    header: String,
    /// To call revisions by their images; fetched with the first snapshot.
    revisions: Vec<Revision>,
    last: Option<OperationProgress>,
    /// Since when the balancer has refused the routing table.
    refused_since: Option<Instant>,
    /// Who took whose place.
    story: Story,
    /// What its clients see.
    meter: Meter,
    /// Set once the waiting has ended, well or not.
    end: Option<Result<(), ApiError>>,
}

impl Watched {
    /// Whether a report shows the state before the write, with nothing that holds the daemon back from taking it in.
    fn is_before(&self, report: &OperationProgress) -> bool {
        let taken_in = self.deletes || report.observed >= self.generation || report.outcome.is_some();
        !taken_in && report.held_by.is_empty()
    }

    /// What the release that is rolled to asks for, as far as it is known.
    fn healthy_for(&self) -> Option<Millis> {
        let target = self.last.as_ref()?.target;
        let revision = self.revisions.iter().find(|revision| revision.number == target)?;
        Some(revision.spec.rollout.healthy_for)
    }
}

struct Operation<'a> {
    ui: &'a Ui,
    client: &'a ApiClient,
    live: Live,
    started: Instant,
    services: BTreeMap<ServiceName, Watched>,
}

impl<'a> Operation<'a> {
    fn new(session: &'a Session<'_>, results: &[WriteResult]) -> Self {
        let watched = |result: &WriteResult| Watched {
            name: result.name.clone(),
            generation: result.generation,
            deletes: result.action == WriteAction::Deleted,
            header: result.name.to_string(),
            revisions: Vec::new(),
            last: None,
            refused_since: None,
            story: Story::default(),
            meter: Meter::default(),
            end: None,
        };
        Self {
            ui: session.ui,
            client: &session.client,
            live: session.ui.progress(),
            started: Instant::now(),
            services: results.iter().map(|result| (result.name.clone(), watched(result))).collect(),
        }
    }

    async fn run(
        mut self,
        results: &[WriteResult],
        awaited: Awaited,
        deadline: Option<Instant>,
    ) -> Result<(), CliError> {
        // Figures change by the second: only a picture has a place for them.
        let counters = self.live.redraws();
        let stream = |result: &WriteResult| {
            follow(self.client.clone(), result.name.clone(), result.generation, awaited, counters)
        };
        let mut reports: SelectAll<_> = results.iter().map(stream).collect();
        let mut redraw = tokio::time::interval(REDRAW_PAUSE);
        // One listener for the whole wait: an interrupt that comes while a report is taken in is not lost.
        let mut interrupts = signal(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                report = reports.next() => match report {
                    Some((name, report)) => self.take(&name, report).await,
                    None => break,
                },
                _ = interrupts.recv() => return Err(self.detached()),
                () = passed(deadline) => {
                    self.time_out();
                    break;
                }
                _ = redraw.tick() => {
                    self.draw();
                    if self.give_up_refused() {
                        break;
                    }
                }
            }
        }
        self.live.erase(HINT);
        let errors: Vec<ApiError> =
            self.services.into_values().filter_map(|watched| watched.end?.err()).collect();
        if errors.is_empty() { Ok(()) } else { Err(CliError::Failed(errors)) }
    }

    /// Takes in what a service's stream brought.
    async fn take(&mut self, name: &ServiceName, report: Report) {
        let elapsed = self.started.elapsed().as_secs();
        let Some(watched) = self.services.get_mut(name).filter(|watched| watched.end.is_none()) else {
            return;
        };
        let snapshot = match report {
            Report::Snapshot(snapshot) => *snapshot,
            Report::Ended(error) => {
                let gone = verdict::is_gone(&error) && watched.deletes;
                watched.end = Some(if gone { Ok(()) } else { Err(verdict::unwatched(watched, *error)) });
                return self.conclude(name, elapsed);
            }
        };
        if watched.is_before(&snapshot) {
            return;
        }
        if watched.last.as_ref().map(|last| last.target) != Some(snapshot.target) {
            // Only for the names of images: without them the numbers of the revisions are shown.
            let revisions = self.client.revisions(Some(name)).await.unwrap_or_default();
            watched.revisions = revisions.into_iter().map(|object| object.revision).collect();
            watched.header = progress::header(&snapshot, &watched.revisions, watched.deletes);
            // That something is deleted has been said when it was written.
            if !self.live.redraws() && !watched.deletes {
                self.ui.note(&watched.header);
            }
        }
        if !self.live.redraws() {
            progress::changes(watched.last.as_ref(), &snapshot).iter().for_each(|line| self.ui.note(line));
        }
        watched.end = snapshot.outcome.as_ref().map(|outcome| verdict::verdict(watched, &snapshot, outcome));
        let since = watched.refused_since.unwrap_or_else(Instant::now);
        watched.refused_since = verdict::refusal(&snapshot).map(|_| since);
        watched.story.take(&snapshot);
        watched.meter.take(&snapshot);
        watched.last = Some(snapshot);
        self.draw();
        self.conclude(name, elapsed);
    }

    /// Leaves the last picture of a service in place, and says that it is done; what failed is said at the end, once.
    fn conclude(&mut self, name: &ServiceName, elapsed: u64) {
        let Some(watched @ Watched { end: Some(end), .. }) = self.services.get(name) else { return };
        let line = match (end, &watched.last) {
            (Ok(()), Some(last)) if !watched.deletes => Some(progress::done(last, elapsed)),
            (Ok(()), _) => Some(progress::deleted(name.as_str(), elapsed)),
            (Err(_), _) => None,
        };
        let gone = watched.deletes && end.is_ok();
        if self.live.redraws() {
            let picture = if gone { String::new() } else { self.picture(watched) };
            let line = line.map(|line| format!("\n\n{}", self.live.style().spell(&line))).unwrap_or_default();
            self.live.settle(name.as_str(), format!("{picture}{line}\n").trim_start_matches('\n'));
        } else if let Some(line) = line {
            self.ui.note(&line);
        }
    }

    fn picture(&self, watched: &Watched) -> String {
        let elapsed = self.started.elapsed().as_secs();
        match &watched.last {
            Some(last) => {
                let traffic = watched.meter.traffic();
                let scene = Scene {
                    header: &watched.header,
                    current: last,
                    story: &watched.story,
                    traffic: traffic.as_ref(),
                    healthy_for: watched.healthy_for(),
                    elapsed,
                    now: wall_time(),
                };
                picture::picture(&scene, self.live.room(), self.live.style())
            }
            None => watched.header.clone(),
        }
    }

    fn draw(&mut self) {
        if !self.live.redraws() {
            return;
        }
        let open = self.services.values().filter(|watched| watched.end.is_none());
        let pictures: Vec<_> = open.map(|w| (w.name.to_string(), self.picture(w))).collect();
        for (name, picture) in pictures {
            self.live.draw(&name, picture);
        }
        let waited = self.services.values().filter(|watched| watched.end.is_none());
        let waited: Vec<&OperationProgress> = waited.filter_map(|watched| watched.last.as_ref()).collect();
        let hint = picture::hint(&waited, self.live.room(), self.live.style());
        self.live.draw(HINT, hint);
    }

    /// Draws the pictures for the last time and leaves them.
    fn leave(&mut self) {
        let drawn = self.services.values().filter(|watched| self.live.draws(watched.name.as_str()));
        let left: Vec<_> = drawn.map(|w| (w.name.to_string(), self.picture(w))).collect();
        for (name, picture) in left {
            self.live.settle(&name, &format!("{picture}\n"));
        }
        self.live.erase(HINT);
    }

    fn time_out(&mut self) {
        for watched in self.services.values_mut().filter(|watched| watched.end.is_none()) {
            watched.end = Some(Err(verdict::timed_out(watched)));
        }
        self.leave();
    }

    /// Ends the waiting for services whose endpoints the balancer does not take up; whether nothing is waited for any more.
    fn give_up_refused(&mut self) -> bool {
        let late = |since: Instant| since.elapsed() >= REFUSAL_PATIENCE;
        let open = self.services.values_mut().filter(|watched| watched.end.is_none());
        let mut gave_up = false;
        for watched in open.filter(|watched| watched.refused_since.is_some_and(late)) {
            watched.end = Some(Err(verdict::table_refused(watched)));
            gave_up = true;
        }
        let over = gave_up && self.services.values().all(|watched| watched.end.is_some());
        if over {
            self.leave();
        }
        over
    }

    fn detached(&mut self) -> CliError {
        self.live.abandon();
        let open = self.services.values().filter(|watched| watched.end.is_none());
        let names: Vec<String> = open.map(|watched| watched.name.to_string()).collect();
        let first = names.first().cloned().unwrap_or_default();
        let names = names.join(", ");
        CliError::Detached(format!(
            "the operation on {names} continues; `ctl rollout {first}` follows it again"
        ))
    }
}
