//! The wait itself: takes progress reports of all services, draws them, and ends with success, errors or a detach.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain::api::client::ApiClient;
use coxswain::api::types::{
    ApiError, Awaited, ObjectMetadata, OperationProgress, ServiceObject, WrittenObject,
};
use coxswain::clock::wall_time;
use coxswain::model::ServiceName;
use futures::stream::{SelectAll, StreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::follow::{FollowUpdate, follow};
use super::verdict;
use super::wait_args::{WaitArgs, deadline, passed};
use super::watched::WatchedService;
use crate::error::CliError;
use crate::output::frame::{self, ProgressView};
use crate::output::listing::is_deleting;
use crate::output::{LiveDisplay, Ui, cut_requests, progress};
use crate::session::Session;

/// Between two frames while only the time changes.
const REDRAW_PAUSE: Duration = Duration::from_millis(250);
/// The balancer retries a rejected table every second. After three tries the cause is a full disk or the like, which
/// does not go away without help.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(3);
/// Name of the frame that explains Ctrl-C; no service can have this name.
const HINT: &str = "?";

/// Waits until all operations on services that these writes started have ended, unless `--detach` is given.
pub(crate) async fn wait(
    session: &Session<'_>,
    results: &[WrittenObject],
    awaited: Awaited,
    args: &WaitArgs,
) -> Result<(), CliError> {
    let services = results.iter().filter_map(WatchedService::of_write).collect();
    wait_for(session, services, awaited, args).await
}

/// Waits for the current generation of a service, no matter who wrote it.
pub(crate) async fn attach(
    session: &Session<'_>,
    service: &ServiceObject,
    args: &WaitArgs,
) -> Result<(), CliError> {
    let ObjectMetadata { name, generation, .. } = &service.metadata;
    let watched = WatchedService::new(name.clone(), *generation, is_deleting(service));
    wait_for(session, vec![watched], Awaited::Release, args).await
}

async fn wait_for(
    session: &Session<'_>,
    services: Vec<WatchedService>,
    awaited: Awaited,
    args: &WaitArgs,
) -> Result<(), CliError> {
    if args.detach || services.is_empty() {
        return Ok(());
    }
    OperationWait::new(session, services)
        .run(awaited, session.deadline.at().or_else(|| deadline(args.timeout)))
        .await
}

struct OperationWait<'a> {
    ui: &'a Ui,
    client: &'a ApiClient,
    live: LiveDisplay,
    started: Instant,
    services: BTreeMap<ServiceName, WatchedService>,
}

impl<'a> OperationWait<'a> {
    fn new(session: &'a Session<'_>, services: Vec<WatchedService>) -> Self {
        Self {
            ui: session.ui,
            client: &session.client,
            live: session.ui.live_stderr(),
            started: Instant::now(),
            services: services.into_iter().map(|watched| (watched.name.clone(), watched)).collect(),
        }
    }

    async fn run(mut self, awaited: Awaited, deadline: Option<Instant>) -> Result<(), CliError> {
        // Counters change every second: lines have no place for them.
        let counters = self.live.redraws();
        let stream = |watched: &WatchedService| {
            follow(self.client.clone(), watched.name.clone(), watched.generation, awaited, counters)
        };
        let mut reports: SelectAll<_> = self.services.values().map(stream).collect();
        let mut redraw = tokio::time::interval(REDRAW_PAUSE);
        // One listener for the whole wait, so that no interrupt is lost while a report is processed.
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

    async fn take(&mut self, name: &ServiceName, report: FollowUpdate) {
        let elapsed = self.started.elapsed().as_secs();
        let Some(watched) = self.services.get_mut(name).filter(|watched| watched.end.is_none()) else {
            return;
        };
        let snapshot = match report {
            FollowUpdate::Snapshot(snapshot) => *snapshot,
            FollowUpdate::Ended(error) => {
                let is_deleted = verdict::is_gone(&error) && watched.deletes;
                watched.end = Some(if is_deleted { Ok(()) } else { Err(verdict::unwatched(watched, error)) });
                return self.conclude(name, elapsed);
            }
        };
        if watched.is_before(&snapshot) {
            return;
        }
        if watched.last.as_ref().map(|last| last.target) != Some(snapshot.target) {
            // Revisions only supply image names: on an error, numbers are shown.
            watched.revisions = self.client.revisions(Some(name)).await.unwrap_or_default();
            watched.header = progress::header(&snapshot, &watched.revisions, watched.deletes);
            // The result of the write has announced a deletion already.
            if !self.live.redraws() && !watched.deletes {
                self.ui.note(&watched.header);
            }
        }
        if !self.live.redraws() {
            progress::changes(watched.last.as_ref(), &snapshot).iter().for_each(|line| self.ui.note(line));
        }
        watched.end = snapshot.outcome.as_ref().map(|outcome| verdict::verdict(watched, &snapshot, outcome));
        let since = watched.table_refused_since.unwrap_or_else(Instant::now);
        watched.table_refused_since = verdict::table_refusal(&snapshot).map(|_| since);
        watched.replacements.take(&snapshot);
        watched.meter.take(&snapshot);
        watched.last = Some(snapshot);
        self.draw();
        self.conclude(name, elapsed);
    }

    /// Leaves the last frame of a finished service in place and reports success. Errors are printed once, at the end.
    fn conclude(&mut self, name: &ServiceName, elapsed: u64) {
        let Some(watched @ WatchedService { end: Some(end), .. }) = self.services.get(name) else { return };
        let line = match (end, &watched.last) {
            (Ok(()), Some(last)) if !watched.deletes => Some(progress::done(last, elapsed)),
            (Ok(()), _) => Some(progress::deleted(name.as_str(), elapsed)),
            (Err(_), _) => None,
        };
        // Also of a rollout that failed: its own replicas were stopped.
        let cut = watched.last.iter().flat_map(|last| cut_requests::lines(&last.cut_requests));
        let lines: Vec<String> = line.into_iter().chain(cut).collect();
        if !self.live.redraws() {
            lines.iter().for_each(|line| self.ui.note(line));
            return;
        }
        let is_deleted = watched.deletes && end.is_ok();
        let frame = if is_deleted { String::new() } else { self.frame(watched) };
        let summary = match lines.is_empty() {
            true => String::new(),
            false => format!("\n\n{}", self.live.style().spell(&lines.join("\n"))),
        };
        self.live.finish(name.as_str(), format!("{frame}{summary}\n").trim_start_matches('\n'));
    }

    fn frame(&self, watched: &WatchedService) -> String {
        let Some(last) = &watched.last else { return watched.header.clone() };
        let traffic = watched.meter.traffic();
        let view = ProgressView {
            header: &watched.header,
            current: last,
            replacements: &watched.replacements,
            traffic: traffic.as_ref(),
            healthy_for: watched.healthy_for(),
            elapsed: self.started.elapsed().as_secs(),
            now: wall_time(),
        };
        frame::frame(&view, self.live.term_size(), self.live.style())
    }

    fn draw(&mut self) {
        if !self.live.redraws() {
            return;
        }
        let open = self.services.values().filter(|watched| watched.end.is_none());
        let frames: Vec<_> = open.map(|w| (w.name.to_string(), self.frame(w))).collect();
        for (name, frame) in frames {
            self.live.draw(&name, frame);
        }
        let waited = self.services.values().filter(|watched| watched.end.is_none());
        let waited: Vec<&OperationProgress> = waited.filter_map(|watched| watched.last.as_ref()).collect();
        let hint = frame::hint(&waited, self.live.term_size(), self.live.style());
        self.live.draw(HINT, hint);
    }

    /// Draws all frames one last time and leaves them on the screen.
    fn leave(&mut self) {
        let drawn = self.services.values().filter(|watched| self.live.draws(watched.name.as_str()));
        let left: Vec<_> = drawn.map(|w| (w.name.to_string(), self.frame(w))).collect();
        for (name, frame) in left {
            self.live.finish(&name, &format!("{frame}\n"));
        }
        self.live.erase(HINT);
    }

    fn time_out(&mut self) {
        for watched in self.services.values_mut().filter(|watched| watched.end.is_none()) {
            watched.end = Some(Err(verdict::timed_out(watched).into()));
        }
        self.leave();
    }

    /// Stops waiting for services whose table the balancer keeps rejecting. True if no service is left to wait for.
    fn give_up_refused(&mut self) -> bool {
        let is_late = |since: Instant| since.elapsed() >= REFUSAL_PATIENCE;
        let open = self.services.values_mut().filter(|watched| watched.end.is_none());
        let mut gave_up = false;
        for watched in open.filter(|watched| watched.table_refused_since.is_some_and(is_late)) {
            watched.end = Some(Err(verdict::table_refused(watched).into()));
            gave_up = true;
        }
        let is_over = gave_up && self.services.values().all(|watched| watched.end.is_some());
        if is_over {
            self.leave();
        }
        is_over
    }

    fn detached(&mut self) -> CliError {
        self.live.abandon();
        let open = self.services.values().filter(|watched| watched.end.is_none());
        let names: Vec<String> = open.map(|watched| watched.name.to_string()).collect();
        let first = names.first().cloned().unwrap_or_default();
        let names = names.join(", ");
        CliError::Detached(format!(
            "the operation on {names} continues; run `ctl rollout {first}` to follow it"
        ))
    }
}
