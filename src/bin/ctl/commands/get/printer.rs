//! Prints selected objects in the requested format.

use coxswain::clock::wall_time;

use super::kinds::KindDisplay;
use crate::error::CliError;
use crate::output::object::{self, Envelope, ObjectFormat};
use crate::output::table::TextTable;
use crate::selection::ObjectSelection;
use crate::session::Session;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum OutputFormat {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

pub(in crate::commands) struct ObjectPrinter<'a> {
    pub(in crate::commands) session: &'a Session<'a>,
    pub(in crate::commands) selection: &'a ObjectSelection,
    pub(in crate::commands) output: OutputFormat,
}

impl ObjectPrinter<'_> {
    pub(super) fn select_and_print<T>(&self, all: Vec<T>, kind: &KindDisplay<T>) -> Result<(), CliError> {
        let items = self.selection.select(all, kind.names)?;
        self.print(&items, kind)
    }

    pub(in crate::commands) fn print<T>(&self, items: &[T], kind: &KindDisplay<T>) -> Result<(), CliError> {
        match self.format() {
            Ok(format) => {
                self.print_objects(&items.iter().flat_map(kind.envelopes).collect::<Vec<_>>(), format)
            }
            Err(wide) => self.print_table(&(kind.table)(items, wall_time(), wide)),
        }
    }

    /// A format for programs, or `Err(wide)` for a table.
    pub(super) fn format(&self) -> Result<ObjectFormat, bool> {
        match self.output {
            OutputFormat::Table => Err(false),
            OutputFormat::Wide => Err(true),
            OutputFormat::Json => Ok(ObjectFormat::Json),
            OutputFormat::Yaml => Ok(ObjectFormat::Yaml),
            OutputFormat::Name => Ok(ObjectFormat::Name),
        }
    }

    fn print_table(&self, table: &TextTable) -> Result<(), CliError> {
        let ui = self.session.ui;
        if table.rows.is_empty() {
            ui.note(&format!("no {}", self.selection.kind.plural()));
            return Ok(());
        }
        ui.out(&table.render(ui.style()))
    }

    fn print_objects(&self, objects: &[Envelope], format: ObjectFormat) -> Result<(), CliError> {
        let text = object::render(objects, self.selection.names.len() == 1, format);
        let text = text.map_err(|reason| CliError::Output(std::io::Error::other(reason)))?;
        if text.is_empty() { Ok(()) } else { self.session.ui.raw(&text) }
    }
}
