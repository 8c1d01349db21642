//! What is drawn while something goes on: a picture that replaces itself, or lines that stay.

use std::collections::BTreeMap;
use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::picture::Room;
use super::style::Style;

/// Of a terminal that does not say how large it is.
const USUAL: Room = Room { columns: 80, rows: 24 };

/// Frames a second; more is noise.
const FRAMES: u8 = 10;

/// Pictures by name, in the order they first appeared, with lines above them.
#[derive(Debug)]
pub(crate) struct Live {
    style: Style,
    /// Where pictures are drawn.
    terminal: console::Term,
    /// `None` where nothing can be redrawn: lines only.
    screen: Option<MultiProgress>,
    pictures: BTreeMap<String, ProgressBar>,
}

impl Live {
    pub(super) fn stderr(style: Style, redraws: bool) -> Self {
        Self::on(style, console::Term::stderr(), redraws)
    }

    pub(super) fn stdout(style: Style) -> Self {
        Self::on(style, console::Term::stdout(), true)
    }

    fn on(style: Style, terminal: console::Term, redraws: bool) -> Self {
        let target = || ProgressDrawTarget::term(terminal.clone(), FRAMES);
        let screen = redraws.then(|| MultiProgress::with_draw_target(target()));
        Self { style, screen, terminal, pictures: BTreeMap::new() }
    }

    /// Whether pictures are shown; else only lines are.
    pub(crate) fn redraws(&self) -> bool {
        self.screen.is_some()
    }

    /// What the pictures may use.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// What the terminal has room for now.
    pub(crate) fn room(&self) -> Room {
        let size = self.terminal.size_checked().filter(|(rows, columns)| *rows > 0 && *columns > 0);
        size.map_or(USUAL, |(rows, columns)| Room { columns: columns.into(), rows: rows.into() })
    }

    /// Whether a picture of this name is drawn.
    pub(crate) fn draws(&self, name: &str) -> bool {
        self.pictures.contains_key(name)
    }

    /// Draws or replaces a picture.
    pub(crate) fn draw(&mut self, name: &str, picture: String) {
        let Some(screen) = &self.screen else { return };
        let bar = self.pictures.entry(name.to_owned()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            screen.add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(picture);
        bar.tick();
    }

    /// Ends a picture: this text stays in its place, above what is still drawn. Without pictures nothing is shown.
    pub(crate) fn settle(&mut self, name: &str, text: &str) {
        self.erase(name);
        if let Some(screen) = &self.screen {
            // Where standard error is gone, there is no place left to say so.
            drop(screen.println(text));
        }
    }

    /// Leaves what is drawn as it is and draws no more. After Ctrl-C this is all that can be done: the terminal has
    /// written `^C` behind the last picture, so where the pictures stand is not known any more.
    pub(crate) fn abandon(&mut self) {
        let Some(screen) = self.screen.take() else { return };
        screen.set_draw_target(ProgressDrawTarget::hidden());
        if !self.pictures.is_empty() {
            // Where standard error is gone, there is no place left to say so.
            drop(writeln!(std::io::stderr()));
        }
        self.pictures.clear();
    }

    /// Takes a picture away.
    pub(crate) fn erase(&mut self, name: &str) {
        if let (Some(bar), Some(screen)) = (self.pictures.remove(name), &self.screen) {
            bar.finish_and_clear();
            screen.remove(&bar);
        }
    }
}
