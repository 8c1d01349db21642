//! `ctl get`: objects as tables for people, or as they are for programs.

use coxswain::api::client::ObjectStream;
use coxswain::api::types::{ApiError, List, NodeObject, ReplicaObject, RevisionObject, ServiceObject};
use coxswain::daemon::wall_time;
use coxswain::model::{Endpoint, Event, ServiceName};
use futures::StreamExt;
use jiff::Timestamp;

pub(super) use self::target::{Kind, Target};
use crate::error::CliError;
use crate::output::listing;
use crate::output::object::{self, Envelope, Format};
use crate::output::table::Table;
use crate::session::Session;

mod target;
mod watch;

/// Show objects
///
/// KIND is one of services, replicas, endpoints, routes, nodes, revisions, events; without one, services are shown.
/// Names of services select what belongs to them.
///
/// With --watch and no terminal there is a row for each change, and `NAME  gone` for what goes; for programs an object
/// with `status: {gone: true}` and nothing else but its name. A daemon that stops or restarts ends the watch, with exit 3.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kind of objects, or a name, then more names
    #[arg(value_name = "KIND|NAME")]
    objects: Vec<String>,
    /// How to show them; json, yaml and name are for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
    /// Go on and show what changes
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

/// How objects of a kind are selected and shown.
pub(super) struct Show<T> {
    /// By what an object is named on the command line.
    names: fn(&T) -> Vec<&str>,
    table: fn(&[T], Timestamp, bool) -> Table,
    envelopes: fn(&T) -> Vec<Envelope>,
    /// Whether there is nothing new to see in the second.
    same: fn(&T, &T) -> bool,
}

const SERVICES: Show<ServiceObject> = Show {
    names: |s| vec![s.metadata.name.as_str()],
    table: listing::services,
    envelopes: |s| vec![Envelope::service(s)],
    same: told_alike,
};

/// The time that is left to wait for passes, and failed requests are counted: neither is news.
fn told_alike(a: &ServiceObject, b: &ServiceObject) -> bool {
    if a.metadata.name != b.metadata.name {
        return false; // without a copy: of many services each is compared with all
    }
    let mut b = b.clone();
    b.status.waits.clone_from(&a.status.waits);
    b.status.failed_requests = a.status.failed_requests;
    *a == b
}

const REPLICAS: Show<ReplicaObject> = Show {
    names: |r| vec![r.spec.name.as_str(), r.spec.service.as_str()],
    table: listing::replicas,
    envelopes: |r| vec![Envelope::replica(r)],
    // Requests come and go many times a second.
    same: |a, b| *a == ReplicaObject { in_flight: a.in_flight, ..b.clone() },
};

const ENDPOINTS: Show<Endpoint> = Show {
    names: |e| vec![e.replica.as_str(), e.service.as_str()],
    table: listing::endpoints,
    envelopes: |e| vec![Envelope::endpoint(e)],
    same: |a, b| a == b,
};

const ROUTES: Show<ServiceObject> = Show {
    names: |s| vec![s.metadata.name.as_str()],
    table: |services, _, wide| listing::routes(services, wide),
    envelopes: |s| Envelope::routes(s).collect(),
    same: |a, b| {
        let counts = |s: &ServiceObject| (s.status.available, s.status.wanted);
        a.metadata.name == b.metadata.name
            && counts(a) == counts(b)
            && (&a.spec.routes, &a.spec.ports) == (&b.spec.routes, &b.spec.ports)
    },
};

const NODES: Show<NodeObject> = Show {
    names: |h| vec![h.name.as_str(), h.id.as_str()],
    table: |nodes, _, wide| listing::nodes(nodes, wide),
    envelopes: |h| vec![Envelope::host(h)],
    same: |a, b| a == b,
};

pub(super) const REVISIONS: Show<RevisionObject> = Show {
    names: |r| vec![r.revision.service.as_str()],
    table: listing::revisions,
    envelopes: |r| vec![Envelope::revision(r)],
    same: |a, b| a == b,
};

const EVENTS: Show<Event> = Show {
    names: |e| vec![e.object.as_str()],
    table: |events, now, _| listing::events(events, now),
    envelopes: |e| vec![Envelope::event(e)],
    same: |a, b| a == b,
};

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let target = Target::parse(&args.objects)?;
    let view = View { session, target: &target, output: args.output, watch: args.watch };
    let client = &session.client;
    match target.kind {
        Kind::Services => view.go(&SERVICES, client.services(), client.watch_services()).await,
        Kind::Replicas => view.go(&REPLICAS, client.replicas(None), client.watch_replicas()).await,
        Kind::Endpoints => view.go(&ENDPOINTS, client.endpoints(None), client.watch_endpoints()).await,
        Kind::Routes => view.go(&ROUTES, client.services(), client.watch_services()).await,
        Kind::Nodes => view.go(&NODES, client.nodes(), client.watch_nodes()).await,
        Kind::Revisions => view.go(&REVISIONS, client.revisions(None), client.watch_revisions()).await,
        Kind::Events => view.events().await,
    }
}

/// Objects of one kind on their way to the reader.
pub(super) struct View<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) target: &'a Target,
    pub(super) output: Output,
    /// Go on with what changes.
    pub(super) watch: bool,
}

impl View<'_> {
    /// Shows what there is, or goes on with what changes: only one of the two is asked for.
    async fn go<T: Clone>(
        &self,
        show: &Show<T>,
        all: impl Future<Output = Result<Vec<T>, ApiError>>,
        changing: impl Future<Output = Result<ObjectStream<List<T>>, ApiError>>,
    ) -> Result<(), CliError> {
        if self.watch {
            return watch::states(self, show, changing.await?).await;
        }
        let items = self.target.select(all.await?, show.names)?;
        self.show(&items, show)
    }

    pub(super) fn show<T>(&self, items: &[T], show: &Show<T>) -> Result<(), CliError> {
        match self.format() {
            Ok(format) => self.print(items.iter().flat_map(show.envelopes).collect(), format),
            Err(wide) => self.table((show.table)(items, wall_time(), wide)),
        }
    }

    async fn events(&self) -> Result<(), CliError> {
        let one = match self.target.names.as_slice() {
            [] => None,
            [name] => Some(ServiceName::new(name)),
            _ => return Err(self.target.one_only()),
        };
        let mut stream = self.session.client.events(one.as_ref(), self.watch).await?;
        if self.watch {
            return watch::additions(self, &EVENTS, stream).await;
        }
        let mut items = Vec::new();
        while let Some(event) = stream.next().await {
            items.push(event?);
        }
        self.show(&items, &EVENTS)
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
