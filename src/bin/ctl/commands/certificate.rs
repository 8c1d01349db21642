//! `ctl certificate`: the daemon's local CA, and how a machine comes to trust it.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use clap::Subcommand;
use coxswain::api::codes;
use coxswain::api::types::{AuthorityObject, ErrorDetail};
use coxswain::model::io_error_text;
use tokio::process::Command;

use crate::error::CliError;
use crate::session::Session;

/// Where Debian and its relatives take further authorities from.
const TRUSTED: &str = "/usr/local/share/ca-certificates/coxswain-local-ca.crt";
/// Reads that directory.
const UPDATE: &str = "update-ca-certificates";
/// It reads some hundred files.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// Trust certificates of the daemon's local CA
///
/// Routes with `tls: auto` get certificates that the daemon issues itself. Clients refuse them until they trust its CA.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: CertificateAction,
}

#[derive(Debug, Subcommand)]
enum CertificateAction {
    /// Print the certificate of the local CA, and how to trust it
    ///
    /// The certificate goes to standard output: `ctl certificate trust > local-ca.pem`, then `curl --cacert local-ca.pem`.
    Trust {
        /// Add it to the authorities that this machine trusts, as root on Debian and its relatives. Firefox and Java have lists of
        /// their own
        #[arg(long)]
        install: bool,
    },
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let CertificateAction::Trust { install } = args.action;
    let authority = session.client.authority().await?;
    if install {
        return trust(session, &authority).await;
    }
    session.ui.raw(authority.pem.trim_end())?;
    session.ui.note(&instructions(&authority));
    Ok(())
}

/// How a machine comes to trust it.
fn instructions(authority: &AuthorityObject) -> String {
    format!(
        "valid until {}; to trust it on this machine: ctl certificate trust --install (as root, on Debian and its relatives)\n\
         for one command: ctl certificate trust > local-ca.pem; curl --cacert local-ca.pem https://HOST\n\
         elsewhere: add it to the authorities of the system or of the browser",
        authority.not_after.strftime("%Y-%m-%d")
    )
}

async fn trust(session: &Session<'_>, authority: &AuthorityObject) -> Result<(), CliError> {
    let path = Path::new(TRUSTED);
    std::fs::write(path, &authority.pem)
        .map_err(|error| not_installed(&format!("{TRUSTED}: {}", io_error_text(&error))))?;
    let mut command = Command::new(UPDATE);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    match tokio::time::timeout(UPDATE_TIMEOUT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            session.ui.out(&format!("✓ this machine trusts the local CA: {TRUSTED}"))
        }
        Ok(Ok(Output { status, stderr, .. })) => {
            let said = String::from_utf8_lossy(&stderr);
            Err(not_installed(&format!("{UPDATE} ended with {status}: {}", said.trim())))
        }
        Ok(Err(error)) => Err(not_installed(&format!("{UPDATE}: {}", missing(&error)))),
        Err(_) => Err(not_installed(&format!("{UPDATE} takes longer than {} s", UPDATE_TIMEOUT.as_secs()))),
    }
}

fn missing(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such program; is this Debian or one of its relatives?".to_owned()
        }
        _ => io_error_text(error),
    }
}

fn not_installed(why: &str) -> CliError {
    let next = vec![
        "sudo ctl certificate trust --install".to_owned(),
        "ctl certificate trust > local-ca.pem".to_owned(),
    ];
    let detail = codes::FILE_UNREADABLE.detail("cannot add the local CA to those that this machine trusts");
    ErrorDetail { why: vec![why.to_owned()], next, ..detail }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_name_the_file_and_the_end() {
        let authority = AuthorityObject {
            pem: "PEM".to_owned(),
            not_after: "2036-01-02T00:00:00Z".parse().unwrap(),
            path: "/var/lib/coxswain/certificates/local-ca.pem".to_owned(),
        };
        let text = instructions(&authority);
        for part in ["2036-01-02", "--cacert local-ca.pem https://HOST", "--install"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
