//! `ctl diff`: what differs between two revisions of a service.

use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{ApiError, RevisionObject, diff};
use coxswain::model::{RevisionNumber, ServiceName};

use crate::error::CliError;
use crate::names;
use crate::output::changes;
use crate::session::Session;

/// Show what differs between two revisions of a service, of all that a release fixes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// The two revisions, such as 7..9
    #[arg(long, value_name = "FROM..TO")]
    revisions: Pair,
    /// Exit with 1 where they differ
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
    let Args { service, revisions: Pair { from, to }, exit_code } = args;
    let kept = session.client.revisions(Some(&service)).await?;
    let (old, new) = (find(&kept, &service, from)?, find(&kept, &service, to)?);
    let found = diff::between(&old.revision, &new.revision);
    if found.is_empty() {
        session.ui.note(&format!("revisions {from} and {to} of {service} are the same release"));
        return Ok(());
    }
    session.ui.out(&found.iter().map(changes::field).collect::<Vec<_>>().join("\n"))?;
    if exit_code { Err(CliError::Differs) } else { Ok(()) }
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
