//! Draws frames that replace themselves on a terminal.

use std::collections::BTreeMap;
use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::frame::TermSize;
use super::style::Style;

/// For a terminal that does not report its size.
const DEFAULT_SIZE: TermSize = TermSize { columns: 80, rows: 24 };

const FRAMES_PER_SECOND: u8 = 10;

/// Frames by name, in the order in which they first appeared.
#[derive(Debug)]
pub(crate) struct LiveDisplay {
    style: Style,
    terminal: console::Term,
    /// `None` if the stream cannot be redrawn.
    screen: Option<MultiProgress>,
    frames: BTreeMap<String, ProgressBar>,
}

impl LiveDisplay {
    pub(super) fn stderr(style: Style, redraws: bool) -> Self {
        Self::on(style, console::Term::stderr(), redraws)
    }

    pub(super) fn stdout(style: Style) -> Self {
        Self::on(style, console::Term::stdout(), true)
    }

    fn on(style: Style, terminal: console::Term, redraws: bool) -> Self {
        let target = || ProgressDrawTarget::term(terminal.clone(), FRAMES_PER_SECOND);
        let screen = redraws.then(|| MultiProgress::with_draw_target(target()));
        Self { style, screen, terminal, frames: BTreeMap::new() }
    }

    pub(crate) fn redraws(&self) -> bool {
        self.screen.is_some()
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn term_size(&self) -> TermSize {
        let size = self.terminal.size_checked().filter(|(rows, columns)| *rows > 0 && *columns > 0);
        size.map_or(DEFAULT_SIZE, |(rows, columns)| TermSize { columns: columns.into(), rows: rows.into() })
    }

    pub(crate) fn draws(&self, name: &str) -> bool {
        self.frames.contains_key(name)
    }

    /// Draws or replaces a frame.
    pub(crate) fn draw(&mut self, name: &str, frame: String) {
        let Some(screen) = &self.screen else { return };
        let bar = self.frames.entry(name.to_owned()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            screen.add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(frame);
        bar.tick();
    }

    /// Ends a frame; this text stays in its place, above the remaining frames.
    pub(crate) fn finish(&mut self, name: &str, text: &str) {
        self.erase(name);
        if let Some(screen) = &self.screen {
            // If standard error is closed, there is nowhere to report it.
            drop(screen.println(text));
        }
    }

    /// Leaves the frames on the screen and stops drawing. After Ctrl-C nothing else works: the terminal has printed `^C`
    /// after the last frame, so the cursor position is unknown.
    pub(crate) fn abandon(&mut self) {
        let Some(screen) = self.screen.take() else { return };
        screen.set_draw_target(ProgressDrawTarget::hidden());
        if !self.frames.is_empty() {
            // If standard error is closed, there is nowhere to report it.
            drop(writeln!(std::io::stderr()));
        }
        self.frames.clear();
    }

    pub(crate) fn erase(&mut self, name: &str) {
        if let (Some(bar), Some(screen)) = (self.frames.remove(name), &self.screen) {
            bar.finish_and_clear();
            screen.remove(&bar);
        }
    }
}
