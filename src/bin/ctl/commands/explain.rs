//! `ctl explain`: documents a manifest field, an error code, or a reason of an event or condition.

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::manifest::{self, Unexplained};
use coxswain::model::{EventReason, Reason};

use crate::error::CliError;
use crate::output::explain;
use crate::session::Session;

/// Explain a field of a manifest, an error code, or a reason of an event or condition
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Field path such as `service.spec.rollout`, error code such as CTL-0412, or reason such as BackOff
    #[arg(value_name = "PATH|CODE|REASON")]
    what: String,
}

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    session.ui.out(&text(args.what.trim())?)
}

fn text(what: &str) -> Result<String, CliError> {
    if let Some(code) = codes::find(what) {
        return Ok(explain::code(code));
    }
    if codes::is_code(what) {
        let known: Vec<&str> = codes::all().map(|code| code.id).collect();
        let why = vec![format!("known codes: {}", known.join(", "))];
        return Err(
            ErrorDetail { why, ..codes::NOT_FOUND.detail(format!("unknown error code `{what}`")) }.into()
        );
    }
    if let Some(text) = explain::reason(EventReason::ALL, Reason::ALL, what) {
        return Ok(text);
    }
    match manifest::explain(what) {
        Ok(topic) => Ok(explain::topic(&topic)),
        Err(Unexplained::Later { path }) => Ok(explain::later(&path)),
        Err(Unexplained::Unknown { at, word, say, meant }) => {
            Err(unknown(&at, &word, say.as_deref(), &meant).into())
        }
    }
}

/// Suggests the nearest topics.
fn unknown(at: &str, word: &str, say: Option<&str>, meant: &[String]) -> ErrorDetail {
    let what = match at {
        "" => format!("unknown kind, code or reason `{word}`"),
        at => format!("unknown key `{word}` in {at}"),
    };
    let next = match (meant, at) {
        ([], "") => vec!["ctl explain service".to_owned()],
        ([], at) => vec![format!("ctl explain {at}")],
        (meant, _) => meant.iter().map(|path| format!("ctl explain {path}")).collect(),
    };
    ErrorDetail { why: say.map(str::to_owned).into_iter().collect(), next, ..codes::NOT_FOUND.detail(what) }
}
