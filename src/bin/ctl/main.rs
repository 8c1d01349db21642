//! Entry point of `ctl`: parses the command line, runs one command, prints its error and sets the exit code.

mod account_files;
mod args;
mod author;
mod commands;
mod completion_script;
mod dispatch;
mod error;
mod event_stream;
mod files;
mod list_stream;
mod load;
mod log_stream;
mod manifests;
mod names;
mod new_file;
mod operation;
mod output;
mod paths;
mod prompt;
mod reconnect;
#[cfg(test)]
mod reference;
mod selection;
mod session;
mod supervisor_signal;
mod system;
mod writes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

/// A bug in `ctl` itself; the panic message names the place.
const EXIT_BUG: u8 = 70;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // It runs in a container that has nothing else, and only its exit code is read.
    if let args::CtlCommand::CheckGateway(args) = &args.command {
        return ExitCode::from(commands::check_gateway::run(args));
    }
    let ui = output::Ui::of_process();
    match catch_unwind(AssertUnwindSafe(|| dispatch::run(args, &ui))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            ui.error(&error);
            ExitCode::from(error.exit())
        }
        Err(_) => {
            ui.note("this is a bug in ctl; the daemon may have carried out the request");
            ExitCode::from(EXIT_BUG)
        }
    }
}
