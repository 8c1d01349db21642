//! What is done to the service while requests are sent, step by step, and how it is put back.

use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::{
    ApiError, Awaited, KillRequest, ReplicaObject, RolloutChange, RolloutRequest, ScaleRequest, WriteResult,
};
use coxswain::daemon::request_id;
use coxswain::model::{ContainerId, Desired, LIMITS, Millis, RevisionNumber};
use futures::StreamExt;
use tokio::time::Instant;

use super::subject::Subject;
use super::{Args, Step};
use crate::error::CliError;
use crate::load::Load;
use crate::operation::{WaitArgs, wait};
use crate::output::verification::Begun;
use crate::session::Session;

/// Requests are sent for so long before anything is done: what fails then is not the platform's doing.
const BASELINE: Duration = Duration::from_secs(3);
/// A step lasts until this many requests more of each client have ended: what it did to the last ones is counted with it.
const AFTERMATH: u64 = 2;

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
    clients: u64,
    timeout: Millis,
    begun: Vec<(&'static str, Instant, Option<Duration>)>,
    /// It has another number of replicas at this moment.
    scaled: bool,
    /// What was asked for last instead of the revision that it began with.
    left_at: Option<&'static str>,
}

impl<'a> Verification<'a> {
    pub(super) fn new(session: &'a Session<'a>, subject: &'a Subject, load: &'a Load, args: &Args) -> Self {
        let (clients, timeout) = (args.concurrency.into(), args.timeout);
        Self { session, subject, load, clients, timeout, begun: Vec::new(), scaled: false, left_at: None }
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
        self.load.further(AFTERMATH * self.clients).await;
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
        self.scaled = true;
        let results = self.write_count(other).await?;
        wait(self.session, &results, Awaited::Count, &self.patience()).await?;
        let results = self.write_count(before).await?;
        self.scaled = false;
        Ok(wait(self.session, &results, Awaited::Count, &self.patience()).await?)
    }

    async fn restart(&mut self) -> Result<(), Stopped> {
        self.begin("restart", "every container by a new one of the same release");
        self.left_at = Some("a restart of it");
        self.roll(RolloutChange::Restart).await
    }

    /// Undoes the restart, which is what it began with; without a restart before, there and back.
    async fn undo(&mut self) -> Result<(), Stopped> {
        let first = self.subject.revision;
        if self.left_at.is_none() {
            let revisions = self.session.client.revisions(Some(&self.subject.name)).await?;
            if revisions.len() < 2 {
                self.begin("undo", "left out: there is no earlier revision");
                return Ok(());
            }
            self.begin("undo", &format!("to the earlier revision, and back to revision {first}"));
            self.left_at = Some("an earlier one");
            self.roll(RolloutChange::Undo { to: None }).await?;
        } else {
            self.begin("undo", &format!("back to revision {first}"));
        }
        self.roll(RolloutChange::Undo { to: Some(first) }).await?;
        self.left_at = None;
        Ok(())
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
        self.session.client.kill(&request).await?;
        match tokio::time::timeout(self.timeout.std(), self.recovered(container)).await {
            Ok(recovered) => recovered,
            Err(_) => {
                let what = format!("{name} is not back after {}", self.timeout);
                let next = vec![format!("ctl get replicas {}", self.subject.name)];
                Err(ApiError { next, ..codes::TIMED_OUT.error(what) }.into())
            }
        }
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

    async fn roll(&self, change: RolloutChange) -> Result<(), Stopped> {
        let results = self.write_rollout(change).await?;
        Ok(wait(self.session, &results, Awaited::Release, &self.patience()).await?)
    }

    async fn write_count(&self, replicas: u32) -> Result<Vec<WriteResult>, ApiError> {
        let request = ScaleRequest {
            request_id: request_id(),
            targets: [(self.subject.name.clone(), replicas)].into(),
            by: self.session.author.clone(),
        };
        Ok(self.session.client.scale(&request).await?.results)
    }

    async fn write_rollout(&self, change: RolloutChange) -> Result<Vec<WriteResult>, ApiError> {
        let (service, by) = (self.subject.name.clone(), self.session.author.clone());
        let request = RolloutRequest { request_id: request_id(), service, change, by };
        Ok(self.session.client.rollout(&request).await?.results)
    }

    fn patience(&self) -> WaitArgs {
        WaitArgs { detach: false, timeout: Some(self.timeout) }
    }

    /// After an end that was not planned: asks for the number of replicas that there was, and says how things stand.
    pub(super) async fn put_back(&self) -> Vec<String> {
        let Subject { name, replicas, revision, .. } = self.subject;
        let mut said = Vec::new();
        if self.scaled {
            said.push(match self.write_count(*replicas).await {
                Ok(_) => format!("{name} goes back to {replicas} replicas"),
                Err(error) => {
                    format!("{name} is left scaled ({error}); `ctl scale {name}={replicas}` mends it")
                }
            });
        }
        if let Some(what) = self.left_at {
            said.push(left_at(what, *revision, name.as_str()));
        }
        if said.is_empty() {
            said.push(format!("{name} is as it was"));
        }
        said
    }
}

fn left_at(what: &str, revision: RevisionNumber, name: &str) -> String {
    format!(
        "{name} began with revision {revision} and is left at {what}; `ctl undo {name} --to {revision}` goes back"
    )
}

/// The container of a replica that serves and is wanted to.
fn running(replica: &ReplicaObject) -> Option<&ContainerId> {
    let serves = replica.available && replica.spec.desired == Desired::Run;
    replica.status.as_ref().filter(|_| serves)?.container.as_ref()
}
