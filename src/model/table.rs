//! The immutable snapshot that a balancer serves from.
//!
//! A request passes four decisions: the listener it came in on, the route, the share (which revision of the service), the
//! endpoint. Each has its own data here. Ordered maps and sets only: two tables that say the same are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Balance, Endpoint, EndpointId, EndpointVia, Epoch, HostPattern, Listener, ListenerId, Millis, OriginName,
    PathMatch, RedirectAction, ReplicaName, RevisionNumber, RevisionPin, Route, RouteCondition, RouteFilters,
    ServiceName, StoreId, TlsCertificate,
};

/// Name of a table. Two tables compare only within one store and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableName {
    pub store: StoreId,
    pub epoch: Epoch,
    /// Counts the tables published in this epoch, from 1.
    pub revision: u64,
}

impl TableName {
    /// Whether this is `other` or a later table of the same store and epoch.
    pub fn covers(&self, other: &TableName) -> bool {
        self.store == other.store && self.epoch == other.epoch && self.revision >= other.revision
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.as_str();
        write!(f, "{}/{}/{}", store.get(..8).unwrap_or(store), self.epoch, self.revision)
    }
}

/// A route: which requests it matches, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRoute {
    /// The listeners on which it is visible.
    pub listeners: BTreeSet<ListenerId>,
    pub hosts: BTreeSet<HostPattern>,
    pub path: PathMatch,
    /// All must hold.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub conditions: BTreeSet<RouteCondition>,
    pub action: RouteAction,
    #[serde(default, skip_serializing_if = "RouteFilters::is_empty")]
    pub filters: RouteFilters,
}

/// What happens to a request that a route matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteAction {
    Forward(ForwardAction),
    Redirect(RedirectAction),
}

/// How long the balancer waits for what. Tables of older versions lack it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteWaits {
    /// For an endpoint while there is none; 0: a request is answered at once, as no replica is wanted.
    pub hold: Millis,
    /// For a client that takes nothing of a response.
    pub idle_timeout: Millis,
    /// For a client that sends nothing of a body.
    pub upload_timeout: Millis,
}

impl Default for RouteWaits {
    fn default() -> Self {
        Self::of(&Route::to(None, "/"))
    }
}

impl RouteWaits {
    /// What a route says.
    pub fn of(route: &Route) -> Self {
        let Route { hold, idle_timeout, upload_timeout, .. } = route;
        Self { hold: *hold, idle_timeout: *idle_timeout, upload_timeout: *upload_timeout }
    }
}

/// Sends the request to one of the backends, by weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardAction {
    pub backends: Vec<WeightedBackend>,
    /// From the request's last byte to the response's headers.
    pub timeout: Millis,
    /// Whether the route's path is taken off the request's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_prefix: bool,
    #[serde(default)]
    pub waits: RouteWaits,
    #[serde(default, skip_serializing_if = "RouteHttps::is_none")]
    pub https: RouteHttps,
}

/// What a route says about HTTPS. Tables of older versions lack it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteHttps {
    /// Whether requests without TLS are redirected to the HTTPS listener.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect: bool,
    /// `Strict-Transport-Security` of responses over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<String>,
}

impl RouteHttps {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A port of a service, and its part of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedBackend {
    pub service: ServiceName,
    pub port: String,
    /// Relative to the weights of the route's other backends.
    pub weight: u32,
}

/// An endpoint that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableEndpoint {
    pub id: EndpointId,
    /// The replica that it is; `None` unless it is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    pub revision: RevisionNumber,
    pub origin: OriginName,
    pub address: IpAddr,
    /// Ports by name.
    pub ports: BTreeMap<String, u16>,
    /// Names of those that speak HTTP/2.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub http2_ports: BTreeSet<String>,
    pub via: EndpointVia,
    /// Relative to the weights of the revision's other endpoints.
    pub weight: u32,
}

impl TableEndpoint {
    /// A container of ours, reached directly.
    pub fn managed(
        id: EndpointId,
        replica: ReplicaName,
        revision: RevisionNumber,
        address: IpAddr,
        ports: BTreeMap<String, u16>,
    ) -> Self {
        Self {
            id,
            replica: Some(replica),
            revision,
            origin: OriginName::Managed,
            address,
            ports,
            http2_ports: BTreeSet::new(),
            via: EndpointVia::Direct,
            weight: Endpoint::WEIGHT,
        }
    }
}

/// The endpoints of a service that may be chosen, and how one is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableService {
    pub balance: Balance,
    /// Weights of revisions. Where there are some, a revision without one takes no request; without any, all endpoints
    /// count alike.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<RevisionNumber, u32>,
    /// The first that holds decides before the shares do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<RevisionPin>,
    /// In the order of their ids; none where none is ready.
    pub endpoints: Vec<TableEndpoint>,
}

/// All that a balancer needs to serve. Every service that a route or listener names has an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingTable {
    pub name: TableName,
    pub listeners: BTreeMap<ListenerId, Listener>,
    /// Of routes that take the same request, the one with the most specific host, then path, then conditions is right,
    /// whatever their order.
    pub routes: Vec<TableRoute>,
    pub services: BTreeMap<ServiceName, TableService>,
    /// What HTTPS listeners identify themselves with, by server name. Tables of older versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<HostPattern, TlsCertificate>,
}

impl RoutingTable {
    /// A table without listeners, routes and services.
    pub fn empty(name: TableName) -> Self {
        Self {
            name,
            listeners: BTreeMap::new(),
            routes: Vec::new(),
            services: BTreeMap::new(),
            certificates: BTreeMap::new(),
        }
    }

    /// The endpoints of all services.
    pub fn endpoints(&self) -> impl Iterator<Item = &TableEndpoint> {
        self.services.values().flat_map(|service| &service.endpoints)
    }

    /// Whether an endpoint may be chosen from this table.
    pub fn has_endpoint(&self, id: &EndpointId) -> bool {
        self.endpoints().any(|endpoint| endpoint.id == *id)
    }

    /// Whether both lead every request the same way; their names aside.
    pub fn routes_like(&self, other: &Self) -> bool {
        let Self { name: _, listeners, routes, services, certificates } = self;
        *listeners == other.listeners
            && *routes == other.routes
            && *services == other.services
            && *certificates == other.certificates
    }
}
