//! `ctl diff`: what an apply would change, or what differs between two revisions of a service.
//!
//! What an apply would change is asked of the daemon: the code that applies is the one that compares.

use std::path::PathBuf;
use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ApplyOptions, ApplyRequest, RevisionObject, WriteAction, diff};
use coxswain::daemon::request_id;
use coxswain::model::{RevisionNumber, ServiceName};

use super::written;
use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::Manifests;
use crate::names;
use crate::output::changes;
use crate::session::Session;

/// Show what an apply of manifests would change, or what differs between two revisions of a service
///
/// `ctl diff -f app.yaml` compares field by field with what is live and changes nothing. What a command changed since is
/// marked with `=` where it stays, and with `!` where the manifest changed it too and an apply would be refused.
/// `ctl diff users --revisions 7..9` compares all that a release fixes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service whose revisions are compared
    #[arg(value_parser = names::service, requires = "revisions", required_unless_present = "files")]
    service: Option<ServiceName>,
    /// The two revisions, such as 7..9
    #[arg(long, value_name = "FROM..TO", requires = "service")]
    revisions: Option<Pair>,
    /// A file, a directory (its *.yaml, *.yml and *.json) or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", conflicts_with = "service")]
    files: Vec<PathBuf>,
    /// Read directories with what lies under them
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// Exit with 1 where there is a difference
    #[arg(long)]
    exit_code: bool,
}

/// Two numbers of revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    from: RevisionNumber,
    to: RevisionNumber,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or("write FROM..TO, such as 7..9")?;
        let number = |text: &str| {
            let number = text.parse().map_err(|_| format!("`{text}` is not the number of a revision"))?;
            Ok::<_, String>(RevisionNumber(number))
        };
        Ok(Self { from: number(from)?, to: number(to)? })
    }
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let Args { service, revisions, files, recursive, exit_code } = args;
    let differs = match service.zip(revisions) {
        Some((service, pair)) => revisions_differ(session, service, pair).await?,
        None => files_differ(session, FileArgs { files, recursive }).await?,
    };
    if differs && exit_code { Err(CliError::Differs) } else { Ok(()) }
}

/// Shows what an apply would do; whether that is anything.
async fn files_differ(session: &Session<'_>, files: FileArgs) -> Result<bool, CliError> {
    let manifests = Manifests::load(&files, session.ui)?;
    let request = ApplyRequest {
        request_id: request_id(),
        documents: manifests.request(),
        applying: ApplyOptions { diff: true, ..ApplyOptions::default() },
        by: session.author.clone(),
    };
    let compared = session.client.apply(&request).await;
    let results = compared.map_err(|error| manifests.refused(error, session.ui))?.results;
    written(session, &results, true)?;
    Ok(results.iter().any(|result| result.action != WriteAction::Unchanged || !result.conflicts.is_empty()))
}

/// Shows what differs between two revisions; whether anything does.
async fn revisions_differ(
    session: &Session<'_>,
    service: ServiceName,
    Pair { from, to }: Pair,
) -> Result<bool, CliError> {
    let kept = session.client.revisions(Some(&service)).await?;
    let (old, new) = (find(&kept, &service, from)?, find(&kept, &service, to)?);
    let found = diff::between(&old.revision, &new.revision);
    if found.is_empty() {
        session.ui.note(&format!("revisions {from} and {to} of {service} are the same release"));
        return Ok(false);
    }
    session.ui.out(&found.iter().map(changes::field).collect::<Vec<_>>().join("\n"))?;
    Ok(true)
}

fn find<'a>(
    kept: &'a [RevisionObject],
    service: &ServiceName,
    number: RevisionNumber,
) -> Result<&'a RevisionObject, CliError> {
    kept.iter().find(|object| object.revision.number == number).ok_or_else(|| {
        let numbers: Vec<String> = kept.iter().map(|object| object.revision.number.to_string()).collect();
        let error = ApiError {
            why: vec![format!("kept: {}", numbers.join(", "))],
            next: vec![format!("ctl history {service}")],
            ..codes::NOT_FOUND.error(format!("service {service} has no revision {number}"))
        };
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_numbers() {
        let (from, to) = (RevisionNumber(7), RevisionNumber(9));
        assert_eq!("7..9".parse(), Ok(Pair { from, to }));
        for text in ["", "7", "7..", "..9", "a..9", "7...9", "-1..2"] {
            assert!(text.parse::<Pair>().is_err(), "{text}");
        }
    }
}
