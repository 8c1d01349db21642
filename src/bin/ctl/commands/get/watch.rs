//! `ctl get -w`: redraws a table on a terminal; otherwise appends a row or an object for each change.
//!
//! A watch has no end of its own: it outlives a restart of the daemon.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain::api::types::{EventObject, ListedObject};
use coxswain::clock::wall_time;
use futures::StreamExt;

use super::kinds::KindDisplay;
use super::printer::ObjectPrinter;
use crate::error::CliError;
use crate::event_stream::EventSource;
use crate::list_stream::ListSource;
use crate::output::object::{Envelope, ObjectFormat};
use crate::output::{LiveDisplay, frame, object};
use crate::reconnect::{self, ReconnectingStream, StreamUpdate};

/// Between two frames while only ages change.
const REDRAW_PAUSE: Duration = Duration::from_secs(1);

/// Watches complete lists.
pub(super) async fn lists<T: ListedObject + Clone>(
    printer: &ObjectPrinter<'_>,
    kind: &KindDisplay<T>,
) -> Result<(), CliError> {
    let ui = printer.session.ui;
    let source = ListSource::new(&printer.session.client);
    let mut states = ReconnectingStream::open(source).await?.into_stream();
    let mut live = if printer.format().is_err() { ui.live_stdout() } else { None };
    let mut shown: Option<Vec<T>> = None;
    let mut is_lost = false;
    let mut redraw = tokio::time::interval(REDRAW_PAUSE);
    loop {
        let items = tokio::select! {
            Some(update) = states.next() => match update {
                Ok(StreamUpdate::Item(state)) => printer.selection.filter(state.items, kind.names),
                Ok(StreamUpdate::Ended) => return Ok(()),
                Ok(change @ (StreamUpdate::Lost | StreamUpdate::Restored)) => {
                    is_lost = matches!(change, StreamUpdate::Lost);
                    match &shown {
                        // A table that is redrawn shows it below.
                        Some(shown) if live.is_some() => shown.clone(),
                        _ => {
                            ui.note(if is_lost { reconnect::LOST } else { reconnect::RESTORED });
                            continue;
                        }
                    }
                }
                Err(error) => {
                    live.iter_mut().for_each(LiveDisplay::abandon);
                    return Err(error.into());
                }
            },
            // A redrawn table shows new ages; appended rows would only repeat themselves.
            _ = redraw.tick(), if live.is_some() => match &shown {
                Some(shown) => shown.clone(),
                None => continue,
            },
            else => return Ok(()),
        };
        match (&mut live, printer.format()) {
            (Some(live), Err(wide)) => {
                let table = (kind.table)(&items, wall_time(), wide).render(ui.style());
                let text = if is_lost { format!("{table}\n{}", reconnect::LOST) } else { table };
                let drawn = frame::table(&text, live.term_size(), ui.style());
                live.draw(printer.selection.kind.plural(), drawn);
            }
            _ => {
                let is_known = |item: &T| shown.iter().flatten().any(|known| (kind.same)(known, item));
                let fresh: Vec<T> = items.iter().filter(|item| !is_known(item)).cloned().collect();
                append(printer, kind, &fresh, shown.is_none())?;
                for gone in gone(kind, shown.as_deref().unwrap_or_default(), &items) {
                    print_gone(printer, &gone)?;
                }
            }
        }
        shown = Some(items);
    }
}

/// Watches events, which never change.
pub(super) async fn events(
    printer: &ObjectPrinter<'_>,
    kind: &KindDisplay<EventObject>,
    source: EventSource,
) -> Result<(), CliError> {
    let mut first = true;
    reconnect::for_each(printer.session, source, |event| {
        append(printer, kind, &[event], std::mem::take(&mut first))
    })
    .await
}

fn gone<T>(kind: &KindDisplay<T>, before: &[T], now: &[T]) -> Vec<Envelope> {
    let now: Vec<Envelope> = now.iter().flat_map(kind.envelopes).collect();
    let existing: BTreeSet<&str> = now.iter().map(Envelope::address).collect();
    let before = before.iter().flat_map(kind.envelopes);
    before.filter(|object| !existing.contains(object.address())).map(Envelope::gone).collect()
}

fn print_gone(printer: &ObjectPrinter<'_>, gone: &Envelope) -> Result<(), CliError> {
    match printer.format() {
        Err(_) => printer.session.ui.out(&format!("{}  gone", gone.name())),
        Ok(ObjectFormat::Name) => printer.session.ui.raw(&format!("{}  gone", gone.address())),
        Ok(format) => write_one(printer, gone, format),
    }
}

fn write_one(printer: &ObjectPrinter<'_>, object: &Envelope, format: ObjectFormat) -> Result<(), CliError> {
    let text = object::render_one(object, format);
    printer.session.ui.raw(&text.map_err(|reason| CliError::Output(std::io::Error::other(reason)))?)
}

/// Appends rows below the earlier ones, or objects for programs.
fn append<T>(
    printer: &ObjectPrinter<'_>,
    kind: &KindDisplay<T>,
    fresh: &[T],
    first: bool,
) -> Result<(), CliError> {
    let ui = printer.session.ui;
    match printer.format() {
        Err(wide) => {
            let table = (kind.table)(fresh, wall_time(), wide);
            match (first, table.rows.is_empty()) {
                (true, _) => ui.out(&table.render(ui.style())),
                (false, true) => Ok(()),
                (false, false) => ui.out(&table.render_rows(ui.style())),
            }
        }
        Ok(format) => {
            fresh.iter().flat_map(kind.envelopes).try_for_each(|object| write_one(printer, &object, format))
        }
    }
}
