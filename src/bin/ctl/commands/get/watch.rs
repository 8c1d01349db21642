//! `ctl get -w`: a table that is drawn anew on a terminal; elsewhere a row, or for programs an object, for each change.
//!
//! What goes leaves the table; elsewhere it is told once. A watch has no end of its own: where the daemon ends it, that is
//! an error. It is not asked for again, because what happened in between would be missing without a word.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain::api::client::ObjectStream;
use coxswain::api::codes;
use coxswain::api::types::List;
use coxswain::daemon::wall_time;
use futures::StreamExt;

use super::{Show, View};
use crate::error::CliError;
use crate::output::object::{Envelope, Format};
use crate::output::{Live, object, picture};

/// Between two pictures while nothing changes but the time.
const REDRAW_PAUSE: Duration = Duration::from_secs(1);

/// Objects whose states come as whole lists.
pub(super) async fn states<T: Clone>(
    view: &View<'_>,
    show: &Show<T>,
    mut states: ObjectStream<List<T>>,
) -> Result<(), CliError> {
    let ui = view.session.ui;
    let mut live = if view.format().is_err() { ui.picture() } else { None };
    let mut shown: Option<Vec<T>> = None;
    let mut redraw = tokio::time::interval(REDRAW_PAUSE);
    loop {
        let items = tokio::select! {
            state = states.next() => match state {
                Some(state) => view.target.filter(state?.items, show.names),
                None => {
                    live.iter_mut().for_each(Live::abandon);
                    return Err(codes::stream_ended().into());
                }
            },
            // Only ages have changed: a picture shows them, appended rows would repeat themselves.
            _ = redraw.tick(), if live.is_some() => match &shown {
                Some(shown) => shown.clone(),
                None => continue,
            },
        };
        match (&mut live, view.format()) {
            (Some(live), Err(wide)) => {
                let table = (show.table)(&items, wall_time(), wide);
                let drawn = picture::table(&table.render(ui.style()), live.room(), ui.style());
                live.draw(view.target.kind.plural(), drawn);
            }
            _ => {
                let known = |item: &T| shown.iter().flatten().any(|known| (show.same)(known, item));
                let fresh: Vec<T> = items.iter().filter(|item| !known(item)).cloned().collect();
                append(view, show, &fresh, shown.is_none())?;
                for gone in gone(show, shown.as_deref().unwrap_or_default(), &items) {
                    tell_gone(view, &gone)?;
                }
            }
        }
        shown = Some(items);
    }
}

/// Objects that come one by one and never change.
pub(super) async fn additions<T>(
    view: &View<'_>,
    show: &Show<T>,
    mut items: ObjectStream<T>,
) -> Result<(), CliError> {
    let mut first = true;
    while let Some(item) = items.next().await {
        append(view, show, &[item?], first)?;
        first = false;
    }
    Err(codes::stream_ended().into())
}

/// What was there before and is not any more.
fn gone<T>(show: &Show<T>, before: &[T], now: &[T]) -> Vec<Envelope> {
    let now: Vec<Envelope> = now.iter().flat_map(show.envelopes).collect();
    let there: BTreeSet<&str> = now.iter().map(Envelope::address).collect();
    let before = before.iter().flat_map(show.envelopes);
    before.filter(|object| !there.contains(object.address())).map(Envelope::gone).collect()
}

fn tell_gone(view: &View<'_>, gone: &Envelope) -> Result<(), CliError> {
    match view.format() {
        Err(_) => view.session.ui.out(&format!("{}  gone", gone.name())),
        Ok(Format::Name) => view.session.ui.raw(&format!("{}  gone", gone.address())),
        Ok(format) => write_one(view, gone, format),
    }
}

fn write_one(view: &View<'_>, object: &Envelope, format: Format) -> Result<(), CliError> {
    let text = object::render_one(object, format);
    view.session.ui.raw(&text.map_err(|reason| CliError::Output(std::io::Error::other(reason)))?)
}

/// Rows under those that were shown before, or objects for programs.
fn append<T>(view: &View<'_>, show: &Show<T>, fresh: &[T], first: bool) -> Result<(), CliError> {
    let ui = view.session.ui;
    match view.format() {
        Err(wide) => {
            let table = (show.table)(fresh, wall_time(), wide);
            match (first, table.rows.is_empty()) {
                (true, _) => ui.out(&table.render(ui.style())),
                (false, true) => Ok(()),
                (false, false) => ui.out(&table.render_rows(ui.style())),
            }
        }
        Ok(format) => {
            fresh.iter().flat_map(show.envelopes).try_for_each(|object| write_one(view, &object, format))
        }
    }
}
