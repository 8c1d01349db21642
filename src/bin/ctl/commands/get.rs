//! `ctl get`: objects as tables for people, or as they are for programs.

use std::time::Duration;

use coxswain::api::types::ServiceObject;
use coxswain::daemon::wall_time;
use coxswain::model::ServiceName;
use futures::StreamExt;

pub(super) use self::target::{Kind, Target};
use crate::error::CliError;
use crate::output::listing;
use crate::output::object::{self, Envelope, Format};
use crate::output::table::Table;
use crate::session::Session;

mod target;

/// Show objects
///
/// KIND is one of services, replicas, endpoints, routes, hosts, revisions, events; without one, services are shown.
/// Names of services select what belongs to them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kind of objects, or a name, then more names
    #[arg(value_name = "KIND|NAME")]
    objects: Vec<String>,
    /// How to show them; json, yaml and name are for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    /// Go on and show what changes (services as a table)
    #[arg(short, long)]
    watch: bool,
}

/// Between two pictures while nothing changes but the time.
const REDRAW_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let target = Target::parse(&args.objects)?;
    if args.watch {
        target.watched(matches!(args.output, Output::Table | Output::Wide))?;
        return watch(session, &target, args.output == Output::Wide).await;
    }
    let view = View { session, target: &target, output: args.output };
    let client = &session.client;
    match target.kind {
        Kind::Services => {
            let items = target.select(client.services().await?, |s| vec![s.metadata.name.as_str()])?;
            view.show(&items, listing::services, Envelope::service)
        }
        Kind::Replicas => {
            let items = client.replicas(None).await?;
            let items = target.select(items, |r| vec![r.spec.name.as_str(), r.spec.service.as_str()])?;
            view.show(&items, listing::replicas, Envelope::replica)
        }
        Kind::Endpoints => {
            let items = client.endpoints(None).await?;
            let items = target.select(items, |e| vec![e.replica.as_str(), e.service.as_str()])?;
            view.show(&items, listing::endpoints, Envelope::endpoint)
        }
        Kind::Routes => {
            let items = target.select(client.services().await?, |s| vec![s.metadata.name.as_str()])?;
            view.routes(&items)
        }
        Kind::Hosts => {
            let items = target.select(client.hosts().await?, |h| vec![h.name.as_str(), h.id.as_str()])?;
            view.show(&items, |items, _, wide| listing::hosts(items, wide), Envelope::host)
        }
        Kind::Revisions => {
            let items = client.revisions(None).await?;
            let items = target.select(items, |r| vec![r.revision.service.as_str()])?;
            view.show(&items, listing::revisions, Envelope::revision)
        }
        Kind::Events => view.events().await,
    }
}

/// Objects of one kind on their way to the reader.
pub(super) struct View<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) target: &'a Target,
    pub(super) output: Output,
}

impl View<'_> {
    pub(super) fn show<T>(
        &self,
        items: &[T],
        table: impl FnOnce(&[T], jiff::Timestamp, bool) -> Table,
        envelope: impl Fn(&T) -> Envelope,
    ) -> Result<(), CliError> {
        match self.format() {
            Ok(format) => self.print(items.iter().map(envelope).collect(), format),
            Err(wide) => self.table(table(items, wall_time(), wide)),
        }
    }

    fn routes(&self, services: &[ServiceObject]) -> Result<(), CliError> {
        match self.format() {
            Ok(format) => self.print(services.iter().flat_map(Envelope::routes).collect(), format),
            Err(wide) => self.table(listing::routes(services, wide)),
        }
    }

    async fn events(&self) -> Result<(), CliError> {
        let one = match self.target.names.as_slice() {
            [] => None,
            [name] => Some(ServiceName::new(name)),
            _ => return Err(self.target.one_only()),
        };
        let mut stream = self.session.client.events(one.as_ref(), false).await?;
        let mut items = Vec::new();
        while let Some(event) = stream.next().await {
            items.push(event?);
        }
        self.show(&items, |items, now, _| listing::events(items, now), Envelope::event)
    }

    /// For programs, or as a table that may be wide.
    fn format(&self) -> Result<Format, bool> {
        match self.output {
            Output::Table => Err(false),
            Output::Wide => Err(true),
            Output::Json => Ok(Format::Json),
            Output::Yaml => Ok(Format::Yaml),
            Output::Name => Ok(Format::Name),
        }
    }

    fn table(&self, table: Table) -> Result<(), CliError> {
        let ui = self.session.ui;
        if table.rows.is_empty() {
            ui.note(&format!("no {}", self.target.kind.plural()));
            return Ok(());
        }
        ui.out(&table.render(ui.style()))
    }

    fn print(&self, objects: Vec<Envelope>, format: Format) -> Result<(), CliError> {
        let text = object::render(&objects, self.target.names.len() == 1, format);
        let text = text.map_err(|reason| CliError::Output(std::io::Error::other(reason)))?;
        if text.is_empty() { Ok(()) } else { self.session.ui.raw(&text) }
    }
}

/// Redraws the table whenever a service changes, or appends the rows of those that changed.
async fn watch(session: &Session<'_>, target: &Target, wide: bool) -> Result<(), CliError> {
    let ui = session.ui;
    let mut picture = ui.picture();
    let mut shown: Option<Vec<ServiceObject>> = None;
    let mut states = session.client.watch_services().await?;
    let mut redraw = tokio::time::interval(REDRAW_PAUSE);
    loop {
        let items = tokio::select! {
            state = states.next() => match state {
                Some(state) => target.filter(state?.items, |s| vec![s.metadata.name.as_str()]),
                None => return Ok(()),
            },
            // Only ages have changed: a picture shows them, appended rows would repeat themselves.
            _ = redraw.tick(), if picture.is_some() => match &shown {
                Some(shown) => shown.clone(),
                None => continue,
            },
        };
        let table = |items: &[ServiceObject]| listing::services(items, wall_time(), wide);
        match (&mut picture, &shown) {
            (Some(picture), _) => picture.draw("services", table(&items).render(ui.style())),
            (None, None) => ui.out(&table(&items).render(ui.style()))?,
            (None, Some(shown)) => {
                let fresh: Vec<_> = items.iter().filter(|item| !shown.contains(item)).cloned().collect();
                if !fresh.is_empty() {
                    ui.out(&table(&fresh).render_rows(ui.style()))?;
                }
            }
        }
        shown = Some(items);
    }
}
