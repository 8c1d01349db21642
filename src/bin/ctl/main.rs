//! The command line: parses, runs one command, and turns its error into text and an exit code.

mod args;
mod author;
mod commands;
mod error;
mod files;
mod load;
mod manifests;
mod names;
mod operation;
mod output;
mod places;
#[cfg(test)]
mod reference;
mod session;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

/// A bug in `ctl` itself; the panic has already said where.
const EXIT_BUG: u8 = 70;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let ui = output::Ui::of_process();
    match catch_unwind(AssertUnwindSafe(|| commands::run(args, &ui))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            ui.error(&error);
            ExitCode::from(error.exit())
        }
        Err(_) => {
            ui.note("this is a bug in ctl; what was asked of the daemon may have happened");
            ExitCode::from(EXIT_BUG)
        }
    }
}
