//! `ctl verify`: sends requests to a service while it is scaled, restarted, killed and rolled back, and counts failures.

mod args;
mod steps;
mod subject;
mod writes;

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::args::Args;
use self::args::{VerifyOutput, VerifyStep};
use self::steps::{VerificationRun, VerifyStop};
use self::subject::VerifiedService;
use crate::error::CliError;
use crate::load::Load;
use crate::output::verification::{self, StepReport, VerificationReport};
use crate::prompt::ask;
use crate::session::Session;

const KILL_SKIPPED: &str =
    "! skipping kill: with one replica the service is down until it restarts; force it with --step kill";
const KILL_COUNTS: &str =
    "! kill: with one replica the service is down until it restarts; failures in between are counted";

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let subject = VerifiedService::find(session, &args).await?;
    let (steps, note) = planned(&args.steps, subject.replicas);
    note.iter().for_each(|note| session.ui.note(note));
    if !args.yes {
        let name = &subject.name;
        let names = steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(", ");
        let question = format!("verify {name} under load ({names})? This restarts and kills its containers.");
        ask(session, &question, &format!("verifying {name}"), "nothing was changed")?;
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    let load = Load::start(subject.target.clone(), args.concurrency)?;
    let mut verification = VerificationRun::new(session, &subject, &load, &args);
    let mut ended = tokio::select! {
        biased;
        ended = verification.run(&steps) => ended,
        _ = interrupts.recv() => Err(VerifyStop::Interrupted),
    };
    // If the wait of a step consumed the interrupt, this listener still has it; the next one concerns what follows.
    let _ = interrupts.recv().now_or_never();
    let left = verification.put_back(&mut interrupts).await;
    let begun = verification.begun();
    if matches!(ended, Err(VerifyStop::Interrupted)) {
        load.abandon();
    }
    let (tallies, all) = load.stop(interrupts.recv().map(drop)).await;
    if !all && ended.is_ok() {
        ended = Err(VerifyStop::Interrupted);
    }
    let steps = begun.into_iter().zip(tallies).map(|(step, tally)| StepReport { step, tally }).collect();
    let report = VerificationReport { service: subject.name.clone(), target: subject.target.clone(), steps };
    match args.output {
        VerifyOutput::Table => session.ui.out(&verification::text(&report, session.ui.style()))?,
        VerifyOutput::Json => session.ui.raw(&verification::json(&report))?,
    }
    conclude(session, &subject, &report, ended, left).await
}

/// The steps to run and a note about them.
fn planned(asked: &[VerifyStep], replicas: u32) -> (Vec<VerifyStep>, Option<&'static str>) {
    match (asked, replicas) {
        ([], 1) => (vec![VerifyStep::Scale, VerifyStep::Restart, VerifyStep::Undo], Some(KILL_SKIPPED)),
        ([], _) => (vec![VerifyStep::Scale, VerifyStep::Restart, VerifyStep::Kill, VerifyStep::Undo], None),
        (asked, 1) if asked.contains(&VerifyStep::Kill) => (asked.to_vec(), Some(KILL_COUNTS)),
        (asked, _) => (asked.to_vec(), None),
    }
}

/// Turns the end of the run and its failed requests into the result of the command.
async fn conclude(
    session: &Session<'_>,
    subject: &VerifiedService,
    report: &VerificationReport,
    ended: Result<(), VerifyStop>,
    left: Vec<String>,
) -> Result<(), CliError> {
    let mut errors = Vec::new();
    let unfit = matches!(ended, Err(VerifyStop::Unfit));
    match ended {
        Err(VerifyStop::Interrupted) => {
            let lost = format!("{} of {} requests failed so far", report.lost(), report.requests());
            return Err(CliError::Detached(format!("{lost}; {}", left.join("; "))));
        }
        Err(VerifyStop::Failed(failed)) => {
            left.iter().for_each(|line| session.ui.note(&format!("! {line}")));
            match *failed {
                CliError::Failed(failed) => errors.extend(failed),
                other => return Err(other),
            }
        }
        // The error below reports the failed requests.
        Err(VerifyStop::Unfit) | Ok(()) => {}
    }
    if report.lost() > 0 {
        let detail = if unfit { unfit_for(subject, report) } else { lost(session, subject, report).await };
        errors.push(detail.into());
    }
    if errors.is_empty() { Ok(()) } else { Err(CliError::Failed(errors)) }
}

fn unfit_for(subject: &VerifiedService, report: &VerificationReport) -> ErrorDetail {
    let name = &subject.name;
    let what =
        format!("{} of {} requests to {name} failed before the first step", report.lost(), report.requests());
    ErrorDetail {
        why: verification::kinds(report),
        now: Some("nothing was changed".to_owned()),
        next: vec![format!("ctl verify {name} --path PATH")],
        ..codes::REQUESTS_FAILED.detail(what)
    }
}

async fn lost(session: &Session<'_>, subject: &VerifiedService, report: &VerificationReport) -> ErrorDetail {
    let name = &subject.name;
    let what = format!("{} of {} requests to {name} failed", report.lost(), report.requests());
    let now = session.client.service(name).await.ok().map(|service| {
        format!("{name} has {}/{} replicas ready", service.status.available, service.status.wanted)
    });
    let next = vec![format!("ctl events {name}")];
    ErrorDetail { why: verification::kinds(report), now, next, ..codes::REQUESTS_FAILED.detail(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_kills_the_only_replica_only_on_request() {
        use VerifyStep::{Kill, Restart, Scale, Undo};
        assert_eq!(planned(&[], 2), (vec![Scale, Restart, Kill, Undo], None));
        assert_eq!(planned(&[], 1), (vec![Scale, Restart, Undo], Some(KILL_SKIPPED)));
        assert_eq!(planned(&[Kill], 1), (vec![Kill], Some(KILL_COUNTS)));
        assert_eq!(planned(&[Undo, Undo], 1), (vec![Undo, Undo], None));
    }
}
