//! How objects of each kind are named, tabulated, exported and compared. Pure.

use coxswain::api::types::{
    CertificateObject, EndpointObject, EventObject, NodeObject, ReplicaObject, RevisionObject, ServiceObject,
    VolumeObject,
};
use jiff::Timestamp;

use crate::output::object::Envelope;
use crate::output::table::TextTable;
use crate::output::{certificate_listing, listing, node_listing, route_listing};

pub(in crate::commands) struct KindDisplay<T> {
    /// The names that select an object on the command line.
    pub(super) names: fn(&T) -> Vec<&str>,
    /// The last argument asks for the wide columns.
    pub(super) table: fn(&[T], Timestamp, bool) -> TextTable,
    pub(super) envelopes: fn(&T) -> Vec<Envelope>,
    /// Whether a watch can skip the second because it shows nothing new.
    pub(super) same: fn(&T, &T) -> bool,
}

pub(super) const SERVICES: KindDisplay<ServiceObject> = KindDisplay {
    names: |s| vec![s.metadata.name.as_str()],
    table: listing::services,
    envelopes: |s| vec![Envelope::service(s)],
    same: same_but_for_counters,
};

/// Remaining wait times and counts of failed requests change all the time and are not news.
fn same_but_for_counters(a: &ServiceObject, b: &ServiceObject) -> bool {
    if a.metadata.name != b.metadata.name {
        return false; // before the clone: each of many services is compared with all others
    }
    let mut b = b.clone();
    b.status.waits.clone_from(&a.status.waits);
    b.status.failed_requests = a.status.failed_requests;
    if let (Some(a), Some(b)) = (&a.status.rollout, &mut b.status.rollout) {
        b.deadline.clone_from(&a.deadline);
    }
    *a == b
}

pub(super) const REPLICAS: KindDisplay<ReplicaObject> = KindDisplay {
    names: |r| vec![r.spec.name.as_str(), r.spec.service.as_str()],
    table: listing::replicas,
    envelopes: |r| vec![Envelope::replica(r)],
    // Requests in flight change many times a second.
    same: |a, b| *a == ReplicaObject { in_flight: a.in_flight, ..b.clone() },
};

pub(super) const ENDPOINTS: KindDisplay<EndpointObject> = KindDisplay {
    names: |e| vec![e.name.as_str(), e.service.as_str()],
    table: listing::endpoints,
    envelopes: |e| vec![Envelope::endpoint(e)],
    same: |a, b| a == b,
};

pub(super) const ROUTES: KindDisplay<ServiceObject> = KindDisplay {
    names: |s| vec![s.metadata.name.as_str()],
    table: |services, _, wide| route_listing::routes(services, wide),
    envelopes: |s| Envelope::routes(s).collect(),
    same: same_routes,
};

fn same_routes(a: &ServiceObject, b: &ServiceObject) -> bool {
    a.metadata.name == b.metadata.name
        && a.status.available == b.status.available
        && a.status.wanted == b.status.wanted
        && a.spec.routes == b.spec.routes
        && a.spec.ports == b.spec.ports
}

pub(super) const NODES: KindDisplay<NodeObject> = KindDisplay {
    names: |n| vec![n.name.as_str(), n.id.as_str()],
    table: |nodes, _, wide| node_listing::nodes(nodes, wide),
    envelopes: |n| vec![Envelope::node(n)],
    same: |a, b| a == b,
};

pub(super) const VOLUMES: KindDisplay<VolumeObject> = KindDisplay {
    names: |v| {
        let names = [Some(&v.name), v.volume.as_ref(), v.image_path.as_ref()];
        names.into_iter().flatten().map(String::as_str).chain(v.services.iter().map(|s| s.as_str())).collect()
    },
    table: |volumes, _, wide| node_listing::volumes(volumes, wide),
    envelopes: |v| vec![Envelope::volume(v)],
    same: |a, b| a == b,
};

pub(super) const CERTIFICATES: KindDisplay<CertificateObject> = KindDisplay {
    names: |c| {
        let host = [c.host.as_str()];
        host.into_iter().chain(c.services.iter().map(|s| s.as_str())).collect()
    },
    table: certificate_listing::certificates,
    envelopes: |c| vec![Envelope::certificate(c)],
    same: |a, b| a == b,
};

pub(in crate::commands) const REVISIONS: KindDisplay<RevisionObject> = KindDisplay {
    names: |r| vec![r.status.service.as_str()],
    table: listing::revisions,
    envelopes: |r| vec![Envelope::revision(r)],
    same: |a, b| a == b,
};

pub(super) const EVENTS: KindDisplay<EventObject> = KindDisplay {
    names: |e| vec![e.object.as_str()],
    table: |events, now, _| listing::events(events, now),
    envelopes: |e| vec![Envelope::event(e)],
    same: |a, b| a == b,
};
