//! `ctl diff`: compares manifests with live services, or two revisions of a service.
//!
//! The daemon compares manifests with the code that applies them, so diff and apply cannot disagree.

use std::path::PathBuf;
use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{
    ApplyOptions, ApplyRequest, ErrorDetail, RevisionObject, WriteAction, release_changes,
};
use coxswain::clock::request_id;
use coxswain::model::{RevisionNumber, ServiceName};

use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::LoadedManifests;
use crate::names;
use crate::output::changes;
use crate::session::Session;
use crate::writes::print_results;

/// Show what an apply would change, or compare two revisions of a service
///
/// `ctl diff -f app.yaml` compares manifests with the live services, field by field, and changes nothing. `=` marks a live
/// change that an apply keeps, `!` a conflict that an apply rejects.
/// `ctl diff users --revisions 7..9` compares the releases of two revisions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Service whose revisions to compare
    #[arg(value_parser = names::service, requires = "revisions", required_unless_present = "files")]
    service: Option<ServiceName>,
    /// Two revisions to compare, such as 7..9
    #[arg(long, value_name = "FROM..TO", requires = "service")]
    revisions: Option<RevisionPair>,
    /// Manifest file, directory (its *.yaml, *.yml and *.json) or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", conflicts_with = "service")]
    files: Vec<PathBuf>,
    /// Read directories recursively
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// Exit with 1 if there are differences
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RevisionPair {
    from: RevisionNumber,
    to: RevisionNumber,
}

impl FromStr for RevisionPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or("write FROM..TO, such as 7..9")?;
        let number = |text: &str| {
            let number = text.parse().map_err(|_| format!("`{text}` is not a revision number"))?;
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

/// Shows what an apply would change; true if anything.
async fn files_differ(session: &Session<'_>, files: FileArgs) -> Result<bool, CliError> {
    let manifests = LoadedManifests::load(&files, session.ui)?;
    let request = ApplyRequest {
        request_id: request_id(),
        documents: manifests.request(),
        applying: ApplyOptions { diff: true, ..ApplyOptions::default() },
        by: session.author.clone(),
    };
    let compared = session.client.apply(&request).await;
    let results = compared.map_err(|error| manifests.rejected(error, session.ui))?.results;
    print_results(session, &results, true)?;
    Ok(results.iter().any(|result| result.action != WriteAction::Unchanged || !result.conflicts.is_empty()))
}

/// Shows what differs between two revisions; true if anything.
async fn revisions_differ(
    session: &Session<'_>,
    service: ServiceName,
    RevisionPair { from, to }: RevisionPair,
) -> Result<bool, CliError> {
    let kept = session.client.revisions(Some(&service)).await?;
    let old = find(&kept, &service, from)?;
    let new = find(&kept, &service, to)?;
    let found = release_changes(old, new).map_err(|error| codes::STORE_FAILED.error(error.to_string()))?;
    if found.is_empty() {
        session.ui.note(&format!("revisions {from} and {to} of {service} are identical"));
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
    kept.iter().find(|object| object.status.number == number).ok_or_else(|| {
        let numbers: Vec<String> = kept.iter().map(|object| object.status.number.to_string()).collect();
        let error = ErrorDetail {
            why: vec![format!("revisions kept: {}", numbers.join(", "))],
            next: vec![format!("ctl history {service}")],
            ..codes::NOT_FOUND.detail(format!("service {service} has no revision {number}"))
        };
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_pair_parses_two_numbers_only() {
        let pair = RevisionPair { from: RevisionNumber(7), to: RevisionNumber(9) };
        assert_eq!("7..9".parse(), Ok(pair));
        for text in ["", "7", "7..", "..9", "a..9", "7...9", "-1..2"] {
            assert!(text.parse::<RevisionPair>().is_err(), "{text}");
        }
    }
}
