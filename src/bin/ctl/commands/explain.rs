//! `ctl explain`: an error code in full sentences.

use coxswain::api::codes;
use coxswain::api::types::ApiError;

use crate::error::CliError;
use crate::session::Session;

/// Explain an error code
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A code, such as CTL-0412
    #[arg(value_name = "CODE")]
    code: String,
}

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let Some(code) = codes::find(&args.code) else {
        let known: Vec<&str> = codes::ALL.iter().map(|code| code.id).collect();
        let why = vec![format!("the codes are {}", known.join(", "))];
        return Err(ApiError { why, ..codes::NOT_FOUND.error(format!("no code is `{}`", args.code)) }.into());
    };
    let codes::Code { id, exit, title, meaning, remedy } = code;
    session.ui.out(&format!("{id}: {title} (exit {exit})\n\n{meaning}\n\n{remedy}"))
}
