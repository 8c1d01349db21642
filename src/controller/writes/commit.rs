//! How a write reaches the store: one transaction per object, tried again where another writer was faster.
//!
//! Invariants: an object, its claims of routes and ports, and what was last applied change together, so two objects can never
//! hold the same host and path, or port; the answer to the request is stored with its last write, so a request that is repeated
//! is answered and not done again.

use std::collections::BTreeSet;

use super::handle::Writes;
use super::object::{Object, ObjectChange, WriteStamp};
use super::request_ids;
use super::snapshot::{WriteSnapshot, changed_meanwhile};
use super::types::{WriteAction, WriteResult};
use crate::controller::error::{ClaimHolder, ControllerError};
use crate::model::{Author, LIMITS, ObjectRef, TrafficClaim, key};
use crate::store::{Compare, Op, TXN_MAX_OPS, Txn, TxnOutcome};

/// How often a write is tried when another writer wrote the same object in between. Writes of one daemon queue up, so
/// this is for a cluster's other writers.
const COMMIT_TRIES: usize = 3;

// Every claim of a service may change at once: each old one goes and each new one comes, with the service, what was
// applied, and the answer.
const _: () = assert!(2 * LIMITS.claims + 3 <= TXN_MAX_OPS);

/// A request in progress: its answer is stored with its last write.
pub(super) struct WriteRequest<'a> {
    pub(super) request_id: &'a str,
    pub(super) by: &'a Author,
    /// Objects that the request writes.
    pub(super) total: usize,
    pub(super) results: Vec<WriteResult>,
    /// The manifests directory that writes; `None` for a command.
    pub(super) source: Option<&'a str>,
}

impl WriteRequest<'_> {
    fn is_last(&self) -> bool {
        self.results.len() + 1 == self.total
    }

    fn has_written(&self) -> bool {
        self.results.iter().any(|result| result.action != WriteAction::Unchanged)
    }
}

impl Writes {
    /// Reads, changes and commits one object; again where another writer was faster.
    pub(super) async fn write(
        &self,
        request: &mut WriteRequest<'_>,
        object: &ObjectRef,
        origin: &str,
        change: impl Fn(&WriteSnapshot, &WriteStamp<'_>) -> Result<ObjectChange, ControllerError>,
    ) -> Result<(), ControllerError> {
        let mut read = None;
        for _ in 0..COMMIT_TRIES {
            let snapshot = self.snapshot(object).await?;
            read.get_or_insert(snapshot.generation());
            let mut change = change(&snapshot, &self.stamp(request))?;
            change.notes.extend(snapshot.context.replaced_note(&change.after));
            let mut txn = transaction(object, &snapshot, &change);
            if request.is_last() && (request.has_written() || !txn.ops.is_empty()) {
                let earlier = request.results.iter().cloned();
                let answer: Vec<WriteResult> = earlier.chain([change.result()]).collect();
                txn.ops.push(request_ids::remember(self.store.as_ref(), request.request_id, answer).await?);
            }
            if txn.ops.is_empty() {
                request.results.push(change.result());
                return Ok(());
            }
            match self.store.txn(txn).await? {
                TxnOutcome::Committed { .. } => {
                    let Author { command, user } = request.by;
                    let generation = change.after.header().generation;
                    tracing::info!(%object, %generation, command, user, "written");
                    request.results.push(change.result());
                    return Ok(());
                }
                TxnOutcome::Conflict { .. } => {
                    self.check_claims(object, origin, &change.after.claims(), &[]).await?;
                }
            }
        }
        let written = request.results.iter().map(|result| result.object.clone()).collect();
        match self.snapshot(object).await?.object {
            Some(now) => Err(changed_meanwhile(&now, read.unwrap_or_default(), written)),
            None => Err(ControllerError::NotFound(vec![object.clone()])),
        }
    }

    pub(super) fn stamp<'a>(&self, request: &WriteRequest<'a>) -> WriteStamp<'a> {
        let source = request.source.map(str::to_owned);
        WriteStamp { by: request.by, at: self.clock.wall(), uid: self.clock.uuid(), source }
    }

    /// Refuses claims that a stored object holds which is another one and not `leaving`.
    pub(super) async fn check_claims(
        &self,
        object: &ObjectRef,
        origin: &str,
        claims: &[TrafficClaim],
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let is_rival = |holder: &ObjectRef| holder != object && !leaving.contains(holder);
        for claim in claims {
            let found = self.store.get(&key::route_claim(&claim.claim)).await?;
            let holder = found.map(|entry| entry.decode::<ObjectRef>()).transpose()?;
            let holder = match holder.filter(is_rival) {
                Some(object) => Some(ClaimHolder { object, claim: claim.claim.clone() }),
                None => self.ambiguous_claim(claim, &is_rival).await?,
            };
            if let Some(holder) = holder {
                return Err(ControllerError::Claimed {
                    claim: claim.claim.clone(),
                    object: object.clone(),
                    origin: origin.to_owned(),
                    holder: Box::new(holder),
                });
            }
        }
        Ok(())
    }

    /// A stored route of a rival that a request can match as well as this one. Other than an equal claim this is no condition of
    /// the transaction: the write lock keeps two applies apart, and a balancer serves both routes in a fixed order.
    async fn ambiguous_claim(
        &self,
        claim: &TrafficClaim,
        is_rival: &(dyn Fn(&ObjectRef) -> bool + Sync),
    ) -> Result<Option<ClaimHolder>, ControllerError> {
        let Some(route) = claim.route.as_ref().filter(|route| !route.matches.is_empty()) else {
            return Ok(None);
        };
        // the conditions of a claim follow its place after a space
        let same_place = key::route_claim(&format!("{} ", route.place()));
        let mut seen = BTreeSet::new();
        for entry in self.store.list(&same_place).await?.entries {
            let holder: ObjectRef = entry.decode()?;
            if !is_rival(&holder) || !seen.insert(holder.clone()) {
                continue;
            }
            let object = self.snapshot(&holder).await?.object;
            let held = object.iter().flat_map(Object::claims).find(|held| held.is_ambiguous_with(claim));
            if let Some(held) = held {
                return Ok(Some(ClaimHolder { object: holder, claim: held.claim }));
            }
        }
        Ok(None)
    }
}

/// The transaction of a change: the object, its claims, and what was last applied.
fn transaction(object: &ObjectRef, snapshot: &WriteSnapshot, change: &ObjectChange) -> Txn {
    let mut txn = Txn::default();
    if change.applied.is_some() && change.applied != snapshot.applied {
        txn.ops.push(Op::put(key::applied(object), &change.applied));
    }
    if snapshot.object.as_ref() == Some(&change.after) {
        return txn;
    }
    txn.compare.push(match &snapshot.object {
        Some(_) => Compare::ModRevision(key::object(object), snapshot.mod_revision),
        None => Compare::Absent(key::object(object)),
    });
    txn.compare.extend(snapshot.context.further_compares(&change.after));
    txn.ops.push(change.after.put());
    let old = snapshot.object.as_ref().map(claim_keys).unwrap_or_default();
    let new = claim_keys(&change.after);
    for claim in new.difference(&old) {
        txn.compare.push(Compare::Absent(claim.clone()));
        txn.ops.push(Op::put(claim.clone(), object));
    }
    txn.ops.extend(old.difference(&new).map(|claim| Op::delete(claim.clone())));
    txn
}

fn claim_keys(object: &Object) -> BTreeSet<String> {
    object.claims().iter().map(|claim| key::route_claim(&claim.claim)).collect()
}
