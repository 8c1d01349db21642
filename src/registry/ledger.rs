//! What was published, and what must not be published. Pure.
//!
//! Invariants: tables are numbered in order; a table is recorded for the barrier before anyone can receive it; a withdrawn
//! endpoint stays out until a read that began after the withdrawal finds no ready endpoint of that id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::barrier::{Barrier, Published};
use super::https::{self, HttpsSettings};
use super::read::StoredObjects;
use super::table;
use crate::model::{
    BalancerReports, ContainerId, Endpoint, EndpointId, EndpointState, RoutingTable, TableName,
};
use crate::store::{Decoded, StoreIdentity};

pub(super) struct Ledger {
    identity: StoreIdentity,
    published: Arc<Published>,
    last: Option<Arc<RoutingTable>>,
    https: HttpsSettings,
    /// Reads of the store begun so far.
    reads: u64,
    /// Endpoints withdrawn ahead of the store, with the number of reads begun until then.
    withdrawn: BTreeMap<EndpointId, u64>,
}

impl Ledger {
    pub(super) fn new(identity: StoreIdentity) -> Self {
        Self {
            identity,
            published: Arc::default(),
            last: None,
            https: HttpsSettings::default(),
            reads: 0,
            withdrawn: BTreeMap::new(),
        }
    }

    /// What these reports acknowledge.
    pub(super) fn barrier(&self, reports: BalancerReports) -> Barrier {
        Barrier { published: Arc::clone(&self.published), reports }
    }

    /// A read of the store begins; returns its number.
    pub(super) fn begin_read(&mut self) -> u64 {
        self.reads += 1;
        self.reads
    }

    /// A read of the store has ended. Returns the table to publish, if there is a new one; the first is that of a read that
    /// `opens`.
    pub(super) fn end_read(
        &mut self,
        number: u64,
        opens: bool,
        objects: &StoredObjects,
        reports: &BalancerReports,
    ) -> Option<Arc<RoutingTable>> {
        self.lift_withdrawals(number, &objects.endpoints);
        if self.last.is_none() && !opens {
            return None;
        }
        let is_withdrawn = |e: &Endpoint| !self.withdrawn.is_empty() && self.withdrawn.contains_key(&e.id());
        let endpoints = objects.endpoints.iter().filter(|e| !is_withdrawn(e));
        let mut table =
            table::build(self.next_name(), objects.services.iter(), endpoints, objects.traffic.iter());
        https::add(&mut table, &self.https);
        self.record(table, reports)
    }

    /// Tables have these from the next read on; whether that changes anything.
    pub(super) fn set_https(&mut self, settings: HttpsSettings) -> bool {
        let is_new = self.https != settings;
        self.https = settings;
        is_new
    }

    /// Endpoints of the last table that ended when this container did.
    pub(super) fn ended_with(&self, container: &ContainerId, at: jiff::Timestamp) -> Vec<EndpointId> {
        let endpoints = self.last.iter().flat_map(|table| table.endpoints());
        endpoints.map(|e| &e.id).filter(|id| id.ended_with(container, at)).cloned().collect()
    }

    /// Keeps these endpoints out of every table from now on. Returns the table to publish, if the last one has any of them.
    pub(super) fn withdraw(
        &mut self,
        ids: &[EndpointId],
        reports: &BalancerReports,
    ) -> Option<Arc<RoutingTable>> {
        self.withdrawn.extend(ids.iter().map(|id| (id.clone(), self.reads)));
        let last = self.last.as_ref().filter(|last| ids.iter().any(|id| last.has_endpoint(id)))?;
        let mut table = RoutingTable { name: self.next_name(), ..RoutingTable::clone(last) };
        for service in table.services.values_mut() {
            service.endpoints.retain(|e| !ids.contains(&e.id));
        }
        self.record(table, reports)
    }

    /// Endpoints that a read did not find ready may return, unless they were withdrawn after the read began.
    fn lift_withdrawals(&mut self, read: u64, endpoints: &Decoded<Endpoint>) {
        if self.withdrawn.is_empty() {
            return;
        }
        let ready = endpoints.iter().filter(|e| e.state == EndpointState::Ready);
        let ready: BTreeSet<EndpointId> = ready.map(Endpoint::id).collect();
        self.withdrawn.retain(|id, begun| *begun >= read || ready.contains(id));
    }

    /// Records a table that leads requests differently from the last one; `None` if it does not.
    fn record(&mut self, table: RoutingTable, reports: &BalancerReports) -> Option<Arc<RoutingTable>> {
        if self.last.as_ref().is_some_and(|last| last.routes_like(&table)) {
            return None;
        }
        let published = Arc::make_mut(&mut self.published);
        published.record(&table);
        published.forget_acknowledged(reports);
        let table = Arc::new(table);
        self.last = Some(Arc::clone(&table));
        Some(table)
    }

    fn next_name(&self) -> TableName {
        let revision = self.last.as_ref().map_or(0, |table| table.name.revision) + 1;
        TableName { store: self.identity.id.clone(), epoch: self.identity.epoch, revision }
    }
}
