//! The only place that prints.
//!
//! Invariants: data goes to standard output, everything else to standard error; no escape bytes without a terminal or with
//! `NO_COLOR` or `TERM=dumb`; every mark has an ASCII fallback; a closed pipe on standard output is not an error.
//! The other files of this module only build text.

pub(crate) mod age;
pub(crate) mod certificate_listing;
pub(crate) mod changes;
pub(crate) mod cut_requests;
pub(crate) mod describe;
mod error;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod frame;
pub(crate) mod listing;
mod live;
pub(crate) mod manifest;
pub(crate) mod node_listing;
pub(crate) mod object;
pub(crate) mod phase_text;
pub(crate) mod progress;
pub(crate) mod replacement_history;
mod restarts;
pub(crate) mod route_explanation;
pub(crate) mod route_listing;
mod style;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod traffic;
pub(crate) mod verification;

use std::io::{BufRead, IsTerminal, Write};

pub(crate) use live::LiveDisplay;
pub(crate) use style::Style;

use crate::error::CliError;

/// The standard streams of the process and what they can display.
#[derive(Debug)]
pub(crate) struct Ui {
    style: Style,
    stdout_colour: bool,
    stdout_redraws: bool,
    stderr_redraws: bool,
    /// Whether a user can answer a prompt.
    asks: bool,
}

impl Ui {
    /// Inspects the streams and the environment once.
    pub(crate) fn of_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").as_deref() == Some("dumb");
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        let redraws = !dumb && set("CI").is_none();
        Self {
            style: Style {
                colour: stderr && !dumb && set("NO_COLOR").is_none(),
                unicode: !dumb && style::is_utf8(&locale),
            },
            stdout_colour: stdout && !dumb && set("NO_COLOR").is_none(),
            stdout_redraws: stdout && redraws,
            stderr_redraws: stderr && redraws,
            asks: std::io::stdin().is_terminal() && stderr,
        }
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn colours_stdout(&self) -> bool {
        self.stdout_colour
    }

    /// Prints data for people, with marks spelled for the terminal.
    pub(crate) fn out(&self, text: &str) -> Result<(), CliError> {
        self.raw(&self.style.spell(text))
    }

    /// Prints exactly this text and a newline.
    pub(crate) fn raw(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::from)
    }

    /// Prints a message on standard error.
    pub(crate) fn note(&self, text: &str) {
        let written = writeln!(std::io::stderr().lock(), "{}", self.style.spell(text));
        // If standard error is closed, there is nowhere to report it.
        drop(written);
    }

    /// The only place that prints errors.
    pub(crate) fn error(&self, error: &CliError) {
        if let Some(text) = error::render(error, self.style) {
            self.note(&text);
        }
    }

    /// Asks on the terminal; `None` without one.
    pub(crate) fn ask(&self, question: &str) -> Option<bool> {
        if !self.asks {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        let asked = write!(stderr, "{} [y/N] ", self.style.spell(question)).and_then(|()| stderr.flush());
        let mut answer = String::new();
        let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
        Some(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// A live display on standard error, for progress.
    pub(crate) fn live_stderr(&self) -> LiveDisplay {
        LiveDisplay::stderr(self.style, self.stderr_redraws)
    }

    /// A live display on standard output, for data; `None` if it cannot be redrawn.
    pub(crate) fn live_stdout(&self) -> Option<LiveDisplay> {
        self.stdout_redraws.then(|| LiveDisplay::stdout(self.style))
    }
}
