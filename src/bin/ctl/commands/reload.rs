//! `ctl reload`: lets the daemon continue with the installed program.

use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ErrorDetail, ReloadObject, ReloadOutcomeName};
use coxswain::clock::{Clock, RealClock};
use coxswain::model::{Millis, Reason};
use tokio::time::{Instant, sleep};

use crate::error::CliError;
use crate::session::Session;
use crate::supervisor_signal::ask_supervisor;

/// Replace the daemon's processes by the installed version without losing a request
///
/// The supervisor executes the program at its own path in place, keeping the sockets and the other processes. Then a new balancer
/// takes over while the old one finishes its requests, and a new controller replaces the old one. Containers are not touched.
/// Nothing changes if the installed program cannot continue where the running one is. Options of `ctl serve` stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stop waiting after DURATION (`90s`, `5m`); the reload continues in the daemon
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub(crate) timeout: Millis,
    /// The daemon whose supervisor has this process id, whatever its socket is: for the systemd unit
    #[arg(long, hide = true, conflicts_with = "socket")]
    pub(crate) pid: Option<i32>,
}

/// Which reload is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedReload {
    Number(u64),
    /// The next one from then on, or one that was under way: a signal has no answer.
    Since(jiff::Timestamp),
}

impl AskedReload {
    fn is(self, reload: &ReloadObject) -> bool {
        match self {
            Self::Number(number) => reload.number == number,
            Self::Since(asked) => {
                reload.outcome.is_none() || reload.since.is_some_and(|since| since >= asked)
            }
        }
    }
}

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let until = Instant::now() + args.timeout.std();
    let asked = match session.client.reload().await {
        Ok(started) => AskedReload::Number(started.number),
        Err(error) if error.code == codes::DAEMON_SILENT.id => {
            let now = RealClock::new().wall();
            let pid = ask_supervisor(session.client.socket(), error)?;
            let how = "its controller does not answer, so it was asked with SIGHUP";
            session.ui.note(&format!("! supervisor {pid}: {how}; its log says how the reload goes"));
            AskedReload::Since(now)
        }
        Err(error) if error.code == codes::USAGE.id => return Err(too_old(session, error).await),
        Err(error) => return Err(error.into()),
    };
    match tokio::time::timeout_at(until, follow(session, asked)).await {
        Ok(reload) => finish(session, reload?).await,
        Err(_) => {
            let what = format!("timed out waiting for the reload after {}", args.timeout);
            let now = Some("the reload continues in the daemon".to_owned());
            let next = vec!["ctl status".to_owned()];
            Err(ErrorDetail { now, next, ..codes::TIMED_OUT.detail(what) }.into())
        }
    }
}

/// The daemon has no such call: it is of an earlier version.
async fn too_old(session: &Session<'_>, error: ApiError) -> CliError {
    let version = session.client.status().await.map_or_else(|_| "?".to_owned(), |status| status.version);
    let why = vec![error.what.clone()];
    let next = vec!["systemctl restart coxswain".to_owned()];
    let what = format!("the running version {version} cannot reload; restart it once");
    ErrorDetail { why, next, ..codes::RELOAD_REFUSED.detail(what) }.into()
}

/// Prints each step until the reload has ended. While the controller is replaced there is no answer, which is no reason to stop.
async fn follow(session: &Session<'_>, mut asked: AskedReload) -> Result<ReloadObject, CliError> {
    let mut printed = 0;
    loop {
        let found = match session.client.daemon().await {
            Ok(daemon) => daemon.reload,
            Err(error) if error.code == codes::DAEMON_SILENT.id => None,
            Err(error) if error.code == codes::SUPERVISOR_SILENT.id => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(reload) = found.filter(|reload| asked.is(reload)) {
            asked = AskedReload::Number(reload.number);
            for step in reload.steps.iter().skip(printed) {
                session.ui.out(&format!("✓ {step}"))?;
            }
            printed = printed.max(reload.steps.len());
            if reload.outcome.is_some() {
                return Ok(reload);
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn finish(session: &Session<'_>, reload: ReloadObject) -> Result<(), CliError> {
    let now = |text: &str| Some(text.to_owned());
    let why: Vec<String> = reload.reason.into_iter().collect();
    match reload.outcome {
        None | Some(ReloadOutcomeName::Done) => check_store(session).await,
        Some(ReloadOutcomeName::Refused) => {
            let now = now("nothing was changed; the running version still serves");
            let what = "the reload was refused";
            Err(ErrorDetail { why, now, ..codes::RELOAD_REFUSED.detail(what) }.into())
        }
        Some(ReloadOutcomeName::Failed) => {
            let now = now("some processes run the old version; traffic is served");
            let next = vec!["ctl status".to_owned(), "ctl reload".to_owned()];
            let what = "the reload failed";
            Err(ErrorDetail { why, now, next, ..codes::RELOAD_FAILED.detail(what) }.into())
        }
    }
}

/// A controller that cannot use its store answers, and does nothing else: the store may be of a later version.
async fn check_store(session: &Session<'_>) -> Result<(), CliError> {
    let status = session.client.status().await?;
    let problem =
        status.conditions.iter().find(|found| found.status && found.reason == Reason::StoreUnavailable);
    let Some(problem) = problem else { return Ok(()) };
    let now = Some("traffic is served; nothing is changed until the store can be used".to_owned());
    let next = vec!["ctl store check".to_owned()];
    let why = vec![problem.message.clone()];
    let what = "the new controller cannot use the store";
    Err(ErrorDetail { why, now, next, ..codes::RELOAD_FAILED.detail(what) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reload_asked_with_a_signal_is_the_one_under_way_or_the_next_and_never_an_earlier_one() {
        let second = |second| jiff::Timestamp::from_second(second).unwrap();
        let reload = |since, outcome| ReloadObject {
            number: 3,
            from: "0.1.0".to_owned(),
            since,
            steps: Vec::new(),
            outcome,
            reason: None,
        };
        let done = Some(ReloadOutcomeName::Done);
        for (what, reload, expected) in [
            ("ended before", reload(Some(second(9)), done), false),
            ("ended, of a version without times", reload(None, done), false),
            ("under way", reload(Some(second(9)), None), true),
            ("asked for now, and refused", reload(Some(second(10)), Some(ReloadOutcomeName::Refused)), true),
        ] {
            assert_eq!(AskedReload::Since(second(10)).is(&reload), expected, "{what}");
        }
    }
}
