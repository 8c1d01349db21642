//! Runs the steps of a verification and restores the service afterwards.

use std::ops::ControlFlow;
use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::{
    ApiError, Awaited, ErrorDetail, KillRequest, ReplicaObject, RolloutChange, RolloutRequest, ScaleRequest,
    WrittenObject,
};
use coxswain::clock::request_id;
use coxswain::model::{ContainerId, LIMITS, Millis, ScaleTarget};
use tokio::signal::unix::Signal;
use tokio::time::Instant;

use super::args::{Args, VerifyStep};
use super::subject::VerifiedService;
use super::writes::{VerifyWrite, WriteTracker};
use crate::error::CliError;
use crate::list_stream::ListSource;
use crate::load::Load;
use crate::operation::{WaitArgs, deadline, passed, wait};
use crate::output::verification::StepTiming;
use crate::reconnect;
use crate::session::Session;

/// Requests that fail in this time, before the first step, are not caused by the steps.
const BASELINE: Duration = Duration::from_secs(3);
/// A step ends after this many more requests per client, so that it also counts the last requests it affected.
const AFTERMATH: u64 = 2;
/// Time limit of the write that restores the replica count: it pulls no image, and the user waits for ctl to exit.
const PUT_BACK: Millis = Millis::secs(30);

impl VerifyStep {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scale => "scale",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Undo => "undo",
        }
    }
}

/// Why a run stopped early.
pub(super) enum VerifyStop {
    /// Ctrl-C.
    Interrupted,
    /// Requests failed before the first step.
    Unfit,
    Failed(Box<CliError>),
}

impl<E: Into<CliError>> From<E> for VerifyStop {
    fn from(error: E) -> Self {
        match error.into() {
            // The wait of a step received the interrupt first.
            CliError::Detached(_) => Self::Interrupted,
            error => Self::Failed(Box::new(error)),
        }
    }
}

pub(super) struct VerificationRun<'a> {
    session: &'a Session<'a>,
    subject: &'a VerifiedService,
    load: &'a Load,
    timeout: Millis,
    /// When the current step times out.
    deadline: Option<Instant>,
    begun: Vec<(&'static str, Instant, Option<Duration>)>,
    writes: WriteTracker,
}

impl<'a> VerificationRun<'a> {
    pub(super) fn new(
        session: &'a Session<'a>,
        subject: &'a VerifiedService,
        load: &'a Load,
        args: &Args,
    ) -> Self {
        Self {
            session,
            subject,
            load,
            timeout: args.timeout,
            deadline: None,
            begun: Vec::new(),
            writes: WriteTracker::default(),
        }
    }

    /// The steps so far and their durations.
    pub(super) fn begun(&self) -> Vec<StepTiming> {
        let timing = |(name, at, took): &(&'static str, Instant, Option<Duration>)| StepTiming {
            name,
            took: took.unwrap_or_else(|| at.elapsed()),
        };
        self.begun.iter().map(timing).collect()
    }

    pub(super) async fn run(&mut self, steps: &[VerifyStep]) -> Result<(), VerifyStop> {
        self.begin("baseline", "requests only");
        tokio::time::sleep(BASELINE).await;
        self.end().await;
        if self.load.so_far().lost() > 0 {
            return Err(VerifyStop::Unfit);
        }
        for step in steps {
            self.load.next_step();
            self.deadline = deadline(Some(self.timeout));
            match step {
                VerifyStep::Scale => self.scale().await?,
                VerifyStep::Restart => self.restart().await?,
                VerifyStep::Kill => self.kill().await?,
                VerifyStep::Undo => self.undo().await?,
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

    async fn scale(&mut self) -> Result<(), VerifyStop> {
        let before = self.subject.replicas;
        let other = if before < LIMITS.replicas { before + 1 } else { before - 1 };
        self.begin("scale", &format!("{before} → {other} → {before} replicas"));
        let results = self.write_count(VerifyWrite::Scale, other).await?;
        self.until_done(&results, Awaited::Count).await?;
        let results = self.write_count(VerifyWrite::ScaleBack, before).await?;
        self.until_done(&results, Awaited::Count).await
    }

    async fn restart(&mut self) -> Result<(), VerifyStop> {
        self.begin("restart", "replacing every container with a new one of the same release");
        self.roll(VerifyWrite::Leave("its restart"), RolloutChange::Restart).await
    }

    /// Undoes the restart if there was one; otherwise rolls back and forward again.
    async fn undo(&mut self) -> Result<(), VerifyStop> {
        let first = self.subject.revision;
        if self.writes.is_on_other_release() {
            self.begin("undo", &format!("back to revision {first}"));
        } else {
            let revisions = self.session.client.revisions(Some(&self.subject.name)).await?;
            if revisions.len() < 2 {
                self.begin("undo", "skipped: no earlier revision");
                return Ok(());
            }
            self.begin("undo", &format!("to the previous revision, then back to revision {first}"));
            self.roll(VerifyWrite::Leave("an earlier revision"), RolloutChange::Undo { to: None }).await?;
        }
        self.roll(VerifyWrite::Return, RolloutChange::Undo { to: Some(first) }).await
    }

    async fn kill(&mut self) -> Result<(), VerifyStop> {
        let replicas = self.session.client.replicas(Some(&self.subject.name)).await?;
        let victim = replicas.iter().find_map(|replica| Some((&replica.spec.name, running(replica)?)));
        let Some((name, container)) = victim else {
            let what = format!("{} has no ready replica", self.subject.name);
            return Err(codes::NOT_NOW.error(what).into());
        };
        self.begin("kill", &format!("SIGKILL to the container of {name}"));
        let request = KillRequest {
            request_id: request_id(),
            service: self.subject.name.clone(),
            replica: name.clone(),
            container: container.clone(),
            by: self.session.author.clone(),
        };
        let session = self.session;
        self.write(VerifyWrite::Kill(name.clone()), session.client.kill(&request)).await?;
        tokio::select! {
            recovered = self.recovered(container) => recovered?,
            () = passed(self.deadline) => {
                let what = format!("{name} did not recover within {}", self.timeout);
                let next = vec![format!("ctl get replicas {}", self.subject.name)];
                return Err(ErrorDetail { next, ..codes::TIMED_OUT.detail(what) }.into());
            }
        }
        self.writes.waited(None);
        Ok(())
    }

    /// Waits until as many replicas serve as before, none of them in the killed container.
    async fn recovered(&self, killed: &ContainerId) -> Result<(), VerifyStop> {
        let source = ListSource::<ReplicaObject>::new(&self.session.client);
        let recovered = reconnect::until(self.session, source, |replicas| {
            let ours = replicas.items.iter().filter(|replica| replica.spec.service == self.subject.name);
            let serving: Vec<_> = ours.filter_map(running).collect();
            let is_back = serving.len() >= self.subject.replicas as usize && !serving.contains(&killed);
            Ok(if is_back { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        Ok(recovered.await?)
    }

    async fn roll(&mut self, ask: VerifyWrite, change: RolloutChange) -> Result<(), VerifyStop> {
        let request = RolloutRequest {
            request_id: request_id(),
            service: self.subject.name.clone(),
            change,
            by: self.session.author.clone(),
        };
        let session = self.session;
        let answer = self.write(ask, session.client.rollout(&request)).await?;
        self.until_done(&answer.results, Awaited::Release).await
    }

    async fn write_count(&mut self, ask: VerifyWrite, replicas: u32) -> Result<Vec<WrittenObject>, ApiError> {
        let request = ScaleRequest {
            request_id: request_id(),
            targets: [(self.subject.name.clone(), ScaleTarget::Count(replicas))].into(),
            by: self.session.author.clone(),
        };
        let session = self.session;
        Ok(self.write(ask, session.client.scale(&request)).await?.results)
    }

    /// Sends a write and records its outcome. If the future is dropped, the write stays recorded as unanswered.
    async fn write<T>(
        &mut self,
        ask: VerifyWrite,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        self.writes.sent(ask);
        let answer = tokio::select! {
            answer = call => answer,
            () = passed(self.deadline) => {
                let name = &self.subject.name;
                Err(codes::TIMED_OUT.error(format!("the daemon did not answer a change to {name} in time")))
            }
        };
        self.writes.answered(answer.as_ref().err());
        answer
    }

    /// Waits for a write within the time left for the step.
    async fn until_done(&mut self, results: &[WrittenObject], awaited: Awaited) -> Result<(), VerifyStop> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
        let waited = wait(self.session, results, awaited, &WaitArgs { detach: false, timeout }).await;
        self.writes.waited(waited.as_ref().err());
        Ok(waited?)
    }

    /// Restores the replica count if necessary and returns what is left to do, one line each. An interrupt stops waiting.
    pub(super) async fn put_back(&mut self, interrupts: &mut Signal) -> Vec<String> {
        let mut error = None;
        if self.writes.is_scaled() {
            self.deadline = deadline(Some(PUT_BACK));
            tokio::select! {
                answer = self.write_count(VerifyWrite::ScaleBack, self.subject.replicas) => error = answer.err(),
                _ = interrupts.recv() => {}
            }
        }
        self.writes.report(self.subject, error.as_ref())
    }
}

/// The container of a replica that serves and should run.
fn running(replica: &ReplicaObject) -> Option<&ContainerId> {
    let serves = replica.available && replica.spec.runs();
    replica.status.as_ref().filter(|_| serves)?.container.as_ref()
}
