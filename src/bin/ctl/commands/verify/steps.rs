//! What is done to the service while requests are sent, step by step, and how it is put back.

use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::{
    ApiError, Awaited, KillRequest, ReplicaObject, RolloutChange, RolloutRequest, ScaleRequest, WriteResult,
};
use coxswain::daemon::request_id;
use coxswain::model::{ContainerId, Desired, LIMITS, Millis};
use futures::StreamExt;
use tokio::signal::unix::Signal;
use tokio::time::Instant;

use super::subject::Subject;
use super::writes::{Ask, Writes};
use super::{Args, Step};
use crate::error::CliError;
use crate::load::Load;
use crate::operation::{WaitArgs, deadline, passed, wait};
use crate::output::verification::Begun;
use crate::session::Session;

/// Requests are sent for so long before anything is done: what fails then is not the platform's doing.
const BASELINE: Duration = Duration::from_secs(3);
/// A step lasts until this many requests more of each client have ended: what it did to the last ones is counted with it.
const AFTERMATH: u64 = 2;
/// For the write that puts the number of replicas back: it pulls no image, and someone waits for `ctl` to end.
const PUT_BACK: Millis = Millis::secs(30);

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scale => "scale",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Undo => "undo",
        }
    }
}

/// Why it ended early.
pub(super) enum Stopped {
    /// Ctrl-C.
    Interrupted,
    /// Requests failed before anything was done, so nothing was.
    Unfit,
    /// A step did not end well.
    Failed(Box<CliError>),
}

impl<E: Into<CliError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        match error.into() {
            // The wait for a step has heard the interrupt first.
            CliError::Detached(_) => Self::Interrupted,
            error => Self::Failed(Box::new(error)),
        }
    }
}

/// A verification under way.
pub(super) struct Verification<'a> {
    session: &'a Session<'a>,
    subject: &'a Subject,
    load: &'a Load,
    timeout: Millis,
    /// When the step that is under way must have ended.
    deadline: Option<Instant>,
    begun: Vec<(&'static str, Instant, Option<Duration>)>,
    writes: Writes,
}

impl<'a> Verification<'a> {
    pub(super) fn new(session: &'a Session<'a>, subject: &'a Subject, load: &'a Load, args: &Args) -> Self {
        let (timeout, deadline, begun, writes) = (args.timeout, None, Vec::new(), Writes::default());
        Self { session, subject, load, timeout, deadline, begun, writes }
    }

    /// The steps that were begun, and how long each took.
    pub(super) fn begun(&self) -> Vec<Begun> {
        let told = |(name, at, took): &(&'static str, Instant, Option<Duration>)| Begun {
            name,
            took: took.unwrap_or_else(|| at.elapsed()),
        };
        self.begun.iter().map(told).collect()
    }

    pub(super) async fn run(&mut self, steps: &[Step]) -> Result<(), Stopped> {
        self.begin("baseline", "requests alone");
        tokio::time::sleep(BASELINE).await;
        self.end().await;
        if self.load.so_far().lost() > 0 {
            return Err(Stopped::Unfit);
        }
        for step in steps {
            self.load.next_step();
            self.deadline = deadline(Some(self.timeout));
            match step {
                Step::Scale => self.scale().await?,
                Step::Restart => self.restart().await?,
                Step::Kill => self.kill().await?,
                Step::Undo => self.undo().await?,
            }
            self.end().await;
        }
        Ok(())
    }

    fn begin(&mut self, name: &'static str, what: &str) {
        self.begun.push((name, Instant::now(), None));
        self.session.ui.note(&format!("{name}: {what}"));
    }

    async fn end(&mut self) {
        self.load.further(AFTERMATH).await;
        if let Some((_, at, took)) = self.begun.last_mut() {
            *took = Some(at.elapsed());
        }
        let tally = self.load.so_far();
        self.session.ui.note(&format!("  {} requests, {} failed", tally.requests, tally.lost()));
    }

    async fn scale(&mut self) -> Result<(), Stopped> {
        let before = self.subject.replicas;
        let other = if before < LIMITS.replicas { before + 1 } else { before - 1 };
        self.begin("scale", &format!("{before} → {other} → {before} replicas"));
        let results = self.write_count(Ask::Scale, other).await?;
        self.until_done(&results, Awaited::Count).await?;
        let results = self.write_count(Ask::ScaleBack, before).await?;
        self.until_done(&results, Awaited::Count).await
    }

    async fn restart(&mut self) -> Result<(), Stopped> {
        self.begin("restart", "every container by a new one of the same release");
        self.roll(Ask::Leave("a restart of it"), RolloutChange::Restart).await
    }

    /// Undoes the restart, which is what it began with; without a restart before, there and back.
    async fn undo(&mut self) -> Result<(), Stopped> {
        let first = self.subject.revision;
        if self.writes.is_elsewhere() {
            self.begin("undo", &format!("back to revision {first}"));
        } else {
            let revisions = self.session.client.revisions(Some(&self.subject.name)).await?;
            if revisions.len() < 2 {
                self.begin("undo", "left out: there is no earlier revision");
                return Ok(());
            }
            self.begin("undo", &format!("to the earlier revision, and back to revision {first}"));
            self.roll(Ask::Leave("an earlier one"), RolloutChange::Undo { to: None }).await?;
        }
        self.roll(Ask::Return, RolloutChange::Undo { to: Some(first) }).await
    }

    async fn kill(&mut self) -> Result<(), Stopped> {
        let replicas = self.session.client.replicas(Some(&self.subject.name)).await?;
        let victim = replicas.iter().find_map(|replica| Some((&replica.spec.name, running(replica)?)));
        let Some((name, container)) = victim else {
            let what = format!("{} has no replica that is ready", self.subject.name);
            return Err(codes::NOT_NOW.error(what).into());
        };
        self.begin("kill", &format!("SIGKILL for the container of {name}"));
        let request = KillRequest {
            request_id: request_id(),
            service: self.subject.name.clone(),
            replica: name.clone(),
            container: container.clone(),
            by: self.session.author.clone(),
        };
        let session = self.session;
        self.write(Ask::Kill(name.clone()), session.client.kill(&request)).await?;
        tokio::select! {
            recovered = self.recovered(container) => recovered?,
            () = passed(self.deadline) => {
                let what = format!("{name} is not back after {}", self.timeout);
                let next = vec![format!("ctl get replicas {}", self.subject.name)];
                return Err(ApiError { next, ..codes::TIMED_OUT.error(what) }.into());
            }
        }
        self.writes.waited(None);
        Ok(())
    }

    /// Until as many replicas serve as before, none of them from this container.
    async fn recovered(&self, killed: &ContainerId) -> Result<(), Stopped> {
        let mut snapshots = self.session.client.watch_replicas().await?;
        while let Some(snapshot) = snapshots.next().await {
            let replicas = snapshot?.items;
            let ours = replicas.iter().filter(|replica| replica.spec.service == self.subject.name);
            let serving: Vec<_> = ours.filter_map(running).collect();
            if serving.len() >= self.subject.replicas as usize && !serving.contains(&killed) {
                return Ok(());
            }
        }
        Err(codes::DAEMON_SILENT.error("the daemon ended while a replica was waited for").into())
    }

    async fn roll(&mut self, ask: Ask, change: RolloutChange) -> Result<(), Stopped> {
        let (service, by) = (self.subject.name.clone(), self.session.author.clone());
        let request = RolloutRequest { request_id: request_id(), service, change, by };
        let session = self.session;
        let answer = self.write(ask, session.client.rollout(&request)).await?;
        self.until_done(&answer.results, Awaited::Release).await
    }

    async fn write_count(&mut self, ask: Ask, replicas: u32) -> Result<Vec<WriteResult>, ApiError> {
        let request = ScaleRequest {
            request_id: request_id(),
            targets: [(self.subject.name.clone(), replicas)].into(),
            by: self.session.author.clone(),
        };
        let session = self.session;
        Ok(self.write(ask, session.client.scale(&request)).await?.results)
    }

    /// Sends a write, and remembers what became of it. Dropped on the way, it is remembered as one without an answer.
    async fn write<T>(
        &mut self,
        ask: Ask,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        self.writes.asks(ask);
        let answer = tokio::select! {
            answer = call => answer,
            () = passed(self.deadline) => {
                let name = &self.subject.name;
                Err(codes::TIMED_OUT.error(format!("no answer to what was asked of {name} in time")))
            }
        };
        self.writes.answered(answer.as_ref().err());
        answer
    }

    /// Waits for what was written, for as long as the step has left.
    async fn until_done(&mut self, results: &[WriteResult], awaited: Awaited) -> Result<(), Stopped> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
        let waited = wait(self.session, results, awaited, &WaitArgs { detach: false, timeout }).await;
        self.writes.waited(waited.as_ref().err());
        Ok(waited?)
    }

    /// After the end: asks for the number of replicas that there was, if it was not asked for yet, and says how things
    /// stand. An interrupt ends the wait for the answer.
    pub(super) async fn put_back(&mut self, interrupts: &mut Signal) -> Vec<String> {
        let mut error = None;
        if self.writes.is_scaled() {
            self.deadline = deadline(Some(PUT_BACK));
            tokio::select! {
                answer = self.write_count(Ask::ScaleBack, self.subject.replicas) => error = answer.err(),
                _ = interrupts.recv() => {}
            }
        }
        self.writes.told(self.subject, error.as_ref())
    }
}

/// The container of a replica that serves and is wanted to.
fn running(replica: &ReplicaObject) -> Option<&ContainerId> {
    let serves = replica.available && replica.spec.desired == Desired::Run;
    replica.status.as_ref().filter(|_| serves)?.container.as_ref()
}
