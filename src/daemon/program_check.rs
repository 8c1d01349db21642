//! Whether the installed program can continue where this supervisor is: it is run once, and asked, before it takes the
//! supervisor's place. Nothing is changed meanwhile.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::SigSet;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::hand_over::{HandOverDescription, read_description};
use super::program::{FileIdentity, own_arguments};
use super::{VERSION, service_manager};
use crate::model::io_error_text;

/// The flag of `ctl serve` that asks; the description comes on standard input.
const FLAG: &str = "--check-hand-over";
/// A program starts and answers within milliseconds, once it is read from disk.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// A description: 128 listeners of a few hundred bytes, and a few children.
const DESCRIPTION_MAX: u64 = 1 << 20;
/// An answer is a line.
const ANSWER_MAX: u64 = 64 << 10;
/// Of what a program says instead of an answer.
const COMPLAINT_CHARS: usize = 500;

/// The answer of a program that can continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProgramAnswer {
    pub(super) version: String,
}

/// A program that can continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckedProgram {
    pub(super) version: String,
    /// The file that was asked.
    pub(super) file: FileIdentity,
}

/// Asks the program at this path.
///
/// # Errors
/// Why it cannot continue.
pub(super) async fn check(
    program: &Path,
    description: &HandOverDescription,
) -> Result<CheckedProgram, String> {
    let path = program.display();
    let mut command = Command::new(program);
    command
        .args(own_arguments())
        .arg(FLAG)
        .env_remove(service_manager::ENV_SOCKET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let file = program.to_owned();
    let asked = async {
        let start = move || Ok((FileIdentity::of(&file)?, command.spawn()?));
        let (file, mut child) = on_own_thread(start).await?;
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read has another answer.
            let _ = input.write_all(&serde_json::to_vec(description)?).await;
        }
        Ok((file, read_answer(child).await?))
    };
    match timeout(CHECK_TIMEOUT, asked).await {
        Ok(Ok((file, output))) => match understand(&output) {
            Ok(ProgramAnswer { version }) => Ok(CheckedProgram { version, file }),
            Err(reason) => Err(format!("{path}: {reason}")),
        },
        Ok(Err(error)) => Err(format!("cannot execute {path}: {}", io_error_text(&error))),
        Err(_) => Err(format!("{path} did not answer within {CHECK_TIMEOUT:?}")),
    }
}

/// Runs what reads the disk: one that hangs must not hold up the supervisor's thread. A process that this starts may outlive the
/// thread, and is killed when its handle is dropped.
async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("check".to_owned()).spawn(move || {
        // signals are for the thread that obeys them, also while they wait for the next program
        let blocked = SigSet::all().thread_block();
        let _runtime = runtime.enter();
        // no one waits any more after the timeout
        let _ = done.send(blocked.map_err(Into::into).and_then(|()| work()));
    })?;
    result.await.unwrap_or_else(|_| Err(std::io::Error::other("the thread that starts it has panicked")))
}

/// What it says, as far as it is of interest, and how it ends.
async fn read_answer(mut child: Child) -> std::io::Result<Output> {
    let mut said = Vec::new();
    let mut complaint = Vec::new();
    let output = child.stdout.take();
    let errors = child.stderr.take();
    let read_output = async {
        match output {
            Some(output) => output.take(ANSWER_MAX).read_to_end(&mut said).await.map(drop),
            None => Ok(()),
        }
    };
    let read_errors = async {
        match errors {
            Some(errors) => errors.take(ANSWER_MAX).read_to_end(&mut complaint).await.map(drop),
            None => Ok(()),
        }
    };
    tokio::try_join!(read_output, read_errors)?;
    let status = child.wait().await?;
    Ok(Output { status, stdout: said, stderr: complaint })
}

fn understand(output: &Output) -> Result<ProgramAnswer, String> {
    match serde_json::from_slice(&output.stdout) {
        Ok(answer) if output.status.success() => Ok(answer),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().chars().take(COMPLAINT_CHARS).collect();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Err(format!("it is not a ctl that supports reload ({}){said}", output.status))
        }
    }
}

/// Answers the check of a running supervisor: reads its hand-over from standard input.
///
/// # Errors
/// This program cannot continue from there.
pub fn check_hand_over() -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().take(DESCRIPTION_MAX).read_to_end(&mut bytes).context("cannot read the hand-over")?;
    read_description(&bytes)?;
    let answer = serde_json::to_vec(&ProgramAnswer { version: VERSION.to_owned() })?;
    std::io::stdout().write_all(&answer).context("cannot answer")
}
