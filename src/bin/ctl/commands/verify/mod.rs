//! `ctl verify`: requests to a service while everything is done to it that the platform may do, and a count of those that
//! failed.

mod steps;
mod subject;
mod writes;

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::model::{Millis, ServiceName};
use futures::FutureExt;
use hyper::Method;
use tokio::signal::unix::{SignalKind, signal};

use self::steps::{Stopped, Verification};
use self::subject::Subject;
use super::ask;
use crate::error::CliError;
use crate::load::Load;
use crate::names;
use crate::output::verification::{self, Report, StepReport};
use crate::session::Session;

/// Send requests to a service while it is scaled, restarted, killed and undone, and count those that fail
///
/// Requests go through the HTTP entry point to the service's first route, half of them over kept connections, half over a
/// new one each. An answer with a status of 400 or more is a failure, as is none. Exits 1 when any failed. The service
/// ends with the replicas and the spec that it had; the restart and the undo are revisions of their own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// The path to ask for, with its query; it must be under the service's first route [default: the route's path]
    #[arg(long)]
    path: Option<String>,
    /// Clients that send side by side
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=256))]
    concurrency: u16,
    /// A method that changes nothing
    #[arg(long, default_value = "GET", ignore_case = true)]
    method: SafeMethod,
    /// What is done, one after the other [default: scale,restart,kill,undo; without kill where there is one replica]
    #[arg(long = "step", value_name = "STEP,…", value_delimiter = ',')]
    steps: Vec<Step>,
    /// A right answer that takes longer is counted as late
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    late: Millis,
    /// The longest that each step may take; requests that were begun in it may end later
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: Millis,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How to show the result; json is for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// Said where the kill is left out.
const KILL_LEFT_OUT: &str = "! kill is left out: with one replica nobody serves until it is started anew; --step kill does it all the same";
/// Said where it was asked for.
const KILL_COUNTS: &str =
    "! kill: with one replica nobody serves until it is started anew; what fails meanwhile is counted";

/// What is done to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Step {
    /// One replica more, and back
    Scale,
    /// Every container by a new one of the same release
    Restart,
    /// The container of one replica ends as by a crash
    Kill,
    /// To the earlier revision; back to the one it began with, if that is another
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SafeMethod {
    #[value(name = "GET")]
    Get,
    #[value(name = "HEAD")]
    Head,
    #[value(name = "OPTIONS")]
    Options,
}

impl SafeMethod {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Options => Method::OPTIONS,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let subject = Subject::find(session, &args).await?;
    let (steps, note) = planned(&args.steps, subject.replicas);
    note.iter().for_each(|note| session.ui.note(note));
    if !args.yes {
        let name = &subject.name;
        let names = steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(", ");
        let question = format!("verify {name} under load ({names}), which restarts and ends its containers?");
        ask(session, &question, &format!("verifying {name}"), "nothing was done")?;
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    let load = Load::start(subject.target.clone(), args.concurrency)?;
    let mut verification = Verification::new(session, &subject, &load, &args);
    let mut ended = tokio::select! {
        biased;
        ended = verification.run(&steps) => ended,
        _ = interrupts.recv() => Err(Stopped::Interrupted),
    };
    // Where the wait for a step has heard the interrupt, it is still to be heard here; the next one means what follows.
    let _ = interrupts.recv().now_or_never();
    let left = verification.put_back(&mut interrupts).await;
    let begun = verification.begun();
    if matches!(ended, Err(Stopped::Interrupted)) {
        load.abandon();
    }
    let (tallies, all) = load.stop(interrupts.recv().map(drop)).await;
    if !all && ended.is_ok() {
        ended = Err(Stopped::Interrupted);
    }
    let steps = begun.into_iter().zip(tallies).map(|(step, tally)| StepReport { step, tally }).collect();
    let report = Report { service: subject.name.clone(), target: subject.target.clone(), steps };
    match args.output {
        Format::Table => session.ui.out(&verification::text(&report, session.ui.style()))?,
        Format::Json => session.ui.raw(&verification::json(&report))?,
    }
    conclude(session, &subject, &report, ended, left).await
}

/// The steps to take, and what is to be said about them before.
fn planned(asked: &[Step], replicas: u32) -> (Vec<Step>, Option<&'static str>) {
    match (asked, replicas) {
        ([], 1) => (vec![Step::Scale, Step::Restart, Step::Undo], Some(KILL_LEFT_OUT)),
        ([], _) => (vec![Step::Scale, Step::Restart, Step::Kill, Step::Undo], None),
        (asked, 1) if asked.contains(&Step::Kill) => (asked.to_vec(), Some(KILL_COUNTS)),
        (asked, _) => (asked.to_vec(), None),
    }
}

/// What the whole of it means: what went wrong on the way, and whether requests failed.
async fn conclude(
    session: &Session<'_>,
    subject: &Subject,
    report: &Report,
    ended: Result<(), Stopped>,
    left: Vec<String>,
) -> Result<(), CliError> {
    let mut errors = Vec::new();
    let unfit = matches!(ended, Err(Stopped::Unfit));
    match ended {
        Err(Stopped::Interrupted) => {
            let lost = format!("{} of {} requests failed so far", report.lost(), report.requests());
            return Err(CliError::Detached(format!("{lost}; {}", left.join("; "))));
        }
        Err(Stopped::Failed(failed)) => {
            left.iter().for_each(|line| session.ui.note(&format!("! {line}")));
            match *failed {
                CliError::Failed(failed) => errors.extend(failed),
                other => return Err(other),
            }
        }
        // Requests failed, which the error below says.
        Err(Stopped::Unfit) | Ok(()) => {}
    }
    if report.lost() > 0 {
        errors.push(if unfit { unfit_for(subject, report) } else { lost(session, subject, report).await });
    }
    if errors.is_empty() { Ok(()) } else { Err(CliError::Failed(errors)) }
}

/// Requests failed before the first step.
fn unfit_for(subject: &Subject, report: &Report) -> ApiError {
    let name = &subject.name;
    let what = format!(
        "{} of {} requests to {name} failed before anything was done to it",
        report.lost(),
        report.requests()
    );
    ApiError {
        why: verification::kinds(report),
        now: Some("nothing was done".to_owned()),
        next: vec![format!("ctl verify {name} --path PATH")],
        ..codes::REQUESTS_FAILED.error(what)
    }
}

/// Requests failed in the end.
async fn lost(session: &Session<'_>, subject: &Subject, report: &Report) -> ApiError {
    let name = &subject.name;
    let what = format!("{} of {} requests to {name} failed", report.lost(), report.requests());
    let now = session.client.service(name).await.ok().map(|service| {
        format!("{name} has {}/{} replicas ready", service.status.available, service.status.wanted)
    });
    let next = vec![format!("ctl events {name}")];
    ApiError { why: verification::kinds(report), now, next, ..codes::REQUESTS_FAILED.error(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_replica_is_killed_only_on_request() {
        use Step::{Kill, Restart, Scale, Undo};
        assert_eq!(planned(&[], 2), (vec![Scale, Restart, Kill, Undo], None));
        assert_eq!(planned(&[], 1), (vec![Scale, Restart, Undo], Some(KILL_LEFT_OUT)));
        assert_eq!(planned(&[Kill], 1), (vec![Kill], Some(KILL_COUNTS)));
        assert_eq!(planned(&[Undo, Undo], 1), (vec![Undo, Undo], None));
    }
}
