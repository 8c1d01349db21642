//! The only place that prints.
//!
//! Invariants: data goes to standard output, everything else to standard error; no escape byte leaves where nobody
//! asked for one (no terminal, `NO_COLOR`, `TERM=dumb`); every mark has a spelling in ASCII; whoever stops reading
//! standard output ends the command without an error.
//! The text itself is made by pure functions in the files beside this one.

pub(crate) mod age;
pub(crate) mod changes;
pub(crate) mod describe;
mod error;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod listing;
mod live;
pub(crate) mod manifest;
pub(crate) mod object;
pub(crate) mod picture;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod story;
mod style;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod traffic;
pub(crate) mod verification;

use std::io::{BufRead, IsTerminal, Write};

pub(crate) use live::Live;
pub(crate) use style::Style;

use crate::error::CliError;

/// The process's standard streams and what they can show.
#[derive(Debug)]
pub(crate) struct Ui {
    style: Style,
    /// Whether standard output shows colours.
    stdout_colour: bool,
    /// Whether standard output may be redrawn.
    stdout_redraws: bool,
    /// Whether standard error may be redrawn.
    stderr_redraws: bool,
    /// Whether someone is there to answer a question.
    asks: bool,
}

impl Ui {
    /// For this process: looks at its streams and environment once.
    pub(crate) fn of_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").as_deref() == Some("dumb");
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
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

    /// What the streams can show.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Whether data may be coloured.
    pub(crate) fn colours_stdout(&self) -> bool {
        self.stdout_colour
    }

    /// Data for people: lines of text.
    pub(crate) fn out(&self, text: &str) -> Result<(), CliError> {
        self.raw(&self.style.spell(text))
    }

    /// Data for programs: exactly this text and the end of its line.
    pub(crate) fn raw(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::from)
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: &str) {
        let written = writeln!(std::io::stderr().lock(), "{}", self.style.spell(text));
        // Where standard error is gone, there is no place left to say so.
        drop(written);
    }

    /// The one place where errors are printed.
    pub(crate) fn error(&self, error: &CliError) {
        if let Some(text) = error::render(error, self.style) {
            self.note(&text);
        }
    }

    /// Asks on the terminal; `None` where nobody is there to answer.
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

    /// Progress on standard error.
    pub(crate) fn progress(&self) -> Live {
        Live::stderr(self.style, self.stderr_redraws)
    }

    /// A picture on standard output that replaces itself; `None` where it cannot.
    pub(crate) fn picture(&self) -> Option<Live> {
        self.stdout_redraws.then(|| Live::stdout(self.style))
    }
}
