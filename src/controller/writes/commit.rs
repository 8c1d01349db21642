//! How a write of the user's reaches the store: one transaction a service, tried again where someone else was faster.
//!
//! Invariants: the service, the claims of its routes and what was last applied change together, so two services can never
//! hold the same host and path; the answer to the request is stored with its last write, so a request that is repeated
//! is answered and not done again.

use std::collections::BTreeSet;

use super::before::{Before, changed_meanwhile};
use super::edit::{Edit, Writer};
use super::request::{WriteAction, WriteResult};
use super::requests;
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::{Author, LIMITS, ObjectRef, Service, ServiceName, key};
use crate::store::{Compare, Op, TXN_MAX_OPS, Txn, TxnOutcome};

/// How often a write is tried when someone else wrote the same object in between. Writes of one daemon queue up, so
/// this is for a cluster's other writers.
const COMMIT_TRIES: usize = 3;

// Every claim of a service may change at once: each old one goes and each new one comes, beside the service, what was
// applied, and the answer.
const _: () = assert!(2 * LIMITS.routes + 3 <= TXN_MAX_OPS);

/// What becomes of a request about a service that is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Going {
    ControllerError,
    /// To be deleted twice is to be deleted once.
    Taken,
}

/// One request on its way: its answer is stored with its last write.
pub(super) struct Run<'a> {
    pub(super) request_id: &'a str,
    pub(super) by: &'a Author,
    pub(super) total: usize,
    pub(super) results: Vec<WriteResult>,
    /// The manifests directory that writes; `None` for a command.
    pub(super) source: Option<&'a str>,
}

impl<'a> Run<'a> {
    pub(super) fn new(request_id: &'a str, by: &'a Author, total: usize) -> Self {
        Self { request_id, by, total, results: Vec::new(), source: None }
    }

    fn is_last(&self) -> bool {
        self.results.len() + 1 == self.total
    }

    fn has_written(&self) -> bool {
        self.results.iter().any(|result| result.action != WriteAction::Unchanged)
    }
}

impl Controller {
    /// Refuses the whole request before its first write where a service does not exist, or is on its way out and may not
    /// be.
    async fn check_there(&self, names: &[ServiceName], going: Going) -> Result<(), ControllerError> {
        let (mut missing, mut first_going) = (Vec::new(), None);
        for name in names {
            match self.store.get(&key::service(name)).await? {
                None => missing.push(name.clone()),
                Some(entry) if entry.decode::<Service>()?.deleted_at.is_some() => {
                    first_going.get_or_insert(name.clone());
                }
                Some(_) => {}
            }
        }
        match (missing.is_empty(), first_going) {
            (false, _) => Err(ControllerError::NotFound(missing)),
            (true, Some(name)) if going == Going::ControllerError => Err(ControllerError::BeingDeleted(name)),
            (true, _) => Ok(()),
        }
    }

    /// Edits services that must exist; `check` is asked for the whole request before the first is written, while nobody
    /// else writes.
    pub(super) async fn edit_each(
        &self,
        request_id: &str,
        names: &[ServiceName],
        going: Going,
        by: &Author,
        check: impl Future<Output = Result<(), ControllerError>>,
        change: impl Fn(&Before, &Service, &Writer<'_>) -> Result<Edit, ControllerError>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.clone().bounded();
        let _writing = self.writing.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        self.check_there(names, going).await?;
        check.await?;
        let mut run = Run::new(request_id, &by, names.len());
        for name in names {
            let edit = |before: &Before, writer: &Writer<'_>| match before.service() {
                Some(service) => change(before, service, writer),
                None => Err(ControllerError::NotFound(vec![name.clone()])),
            };
            self.edit(&mut run, name, &by.command, edit).await?;
        }
        Ok(run.results)
    }

    /// Reads, edits and commits one service; again where someone else was faster.
    pub(super) async fn edit(
        &self,
        run: &mut Run<'_>,
        name: &ServiceName,
        origin: &str,
        change: impl Fn(&Before, &Writer<'_>) -> Result<Edit, ControllerError>,
    ) -> Result<(), ControllerError> {
        let mut read = None;
        for _ in 0..COMMIT_TRIES {
            let before = self.read_before(name).await?;
            read.get_or_insert(before.generation());
            let mut edit = change(&before, &self.writer(run))?;
            edit.notes.extend(before.taken_over(&edit));
            let mut txn = transaction(&before, &edit);
            if run.is_last() && (run.has_written() || !txn.ops.is_empty()) {
                let answer: Vec<WriteResult> = run.results.iter().cloned().chain([edit.result()]).collect();
                txn.ops.push(requests::remember(self.store.as_ref(), run.request_id, answer).await?);
            }
            if txn.ops.is_empty() {
                run.results.push(edit.result());
                return Ok(());
            }
            match self.store.txn(txn).await? {
                TxnOutcome::Committed { .. } => {
                    let (generation, Author { command, user }) = (edit.after.metadata.generation, run.by);
                    tracing::info!(service = %name, %generation, command, user, "written");
                    run.results.push(edit.result());
                    return Ok(());
                }
                TxnOutcome::Conflict { .. } => {
                    self.check_claims_of(name, origin, &edit.after.spec.routes, &[]).await?
                }
            }
        }
        let written = run.results.iter().map(|result| result.name.clone()).collect();
        let now = self.existing(name).await?;
        Err(changed_meanwhile(&now, read.unwrap_or_default(), written))
    }

    pub(super) fn writer<'a>(&self, run: &Run<'a>) -> Writer<'a> {
        let source = run.source.map(str::to_owned);
        Writer { by: run.by, at: self.clock.wall(), uid: self.clock.uuid(), source }
    }
}

/// The transaction of an edit: the service, its claims, and what was last applied.
fn transaction(before: &Before, edit: &Edit) -> Txn {
    let name = &edit.after.metadata.name;
    let mut txn = Txn::default();
    if edit.applied.is_some() && edit.applied != before.applied {
        txn.ops.push(Op::put(key::applied(name), &edit.applied));
    }
    let unchanged = before.service().is_some_and(|service| *service == edit.after);
    if unchanged {
        return txn;
    }
    txn.compare.push(match &before.service {
        Some((_, revision)) => Compare::ModRevision(key::service(name), *revision),
        None => Compare::Absent(key::service(name)),
    });
    // What a halt was found fit for must still be so when it is written.
    if let Some((service, _)) =
        before.service.as_ref().filter(|(service, _)| service.intervention != edit.after.intervention)
        && service.release().is(edit.after.release())
    {
        txn.compare.push(match &before.rollout {
            Some((_, revision)) => Compare::ModRevision(key::rollout(name), *revision),
            None => Compare::Absent(key::rollout(name)),
        });
    }
    txn.ops.push(Op::put(key::service(name), &edit.after));
    let claims = |service: &Service| -> BTreeSet<String> {
        let routes = if service.deleted_at.is_some() { &[] } else { service.spec.routes.as_slice() };
        routes.iter().map(key::route_claim).collect()
    };
    let old = before.service().map(claims).unwrap_or_default();
    let new = claims(&edit.after);
    for claim in new.difference(&old) {
        txn.compare.push(Compare::Absent(claim.clone()));
        txn.ops.push(Op::put(claim.clone(), &ObjectRef::from(name)));
    }
    txn.ops.extend(old.difference(&new).map(|claim| Op::delete(claim.clone())));
    txn
}
