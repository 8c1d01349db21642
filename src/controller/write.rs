//! The user's writes: check, resolve, commit.
//!
//! Every document of a run is checked and every image resolved before the first write. Each service is one transaction
//! that also claims its routes, so two services can never hold the same host and path.

use std::collections::{BTreeMap, BTreeSet};

use super::before::{Before, changed_meanwhile};
use super::documents::check_documents;
use super::edit::{self, Edit, Writer};
use super::overrides::{Way, specs};
use super::refused::Refused;
use super::requests;
use super::{Action, ApplyDocument, Applying, Controller, WriteResult};
use crate::model::{
    Author, EnvField, EnvValue, Generation, LIMITS, ResolvedImage, Route, Service, ServiceName, ServiceSpec,
    key,
};
use crate::store::{Compare, Op, TXN_MAX_OPS, Txn, TxnOutcome};

/// How often a write is tried when someone else wrote the same object in between. Writes of one daemon queue up, so
/// this is for a cluster's other writers.
const COMMIT_TRIES: usize = 3;

// Every claim of a service may change at once: each old one goes and each new one comes, beside the service, what was
// applied, and the answer.
const _: () = assert!(2 * LIMITS.routes + 3 <= TXN_MAX_OPS);

/// One request on its way: its answer is stored with its last write.
struct Run<'a> {
    request_id: &'a str,
    by: &'a Author,
    total: usize,
    results: Vec<WriteResult>,
    /// The manifests directory that writes; `None` for a command.
    source: Option<&'a str>,
}

impl<'a> Run<'a> {
    fn new(request_id: &'a str, by: &'a Author, total: usize) -> Self {
        Self { request_id, by, total, results: Vec::new(), source: None }
    }

    fn is_last(&self) -> bool {
        self.results.len() + 1 == self.total
    }

    fn has_written(&self) -> bool {
        self.results.iter().any(|result| result.action != Action::Unchanged)
    }
}

impl Controller {
    /// Applies documents: all are checked, merged with what commands changed, and resolved before the first
    /// is written.
    ///
    /// # Errors
    /// [`Refused`] with all problems of one kind together; nothing was written, but for
    /// [`Refused::ChangedMeanwhile`], which says what was.
    pub async fn apply(
        &self,
        request_id: &str,
        documents: &[ApplyDocument],
        applying: impl Into<Applying>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, Refused> {
        self.apply_as(None, request_id, documents, applying, by).await
    }

    /// As [`Controller::apply`], for a command or for a manifests directory.
    pub(crate) async fn apply_as(
        &self,
        source: Option<&str>,
        request_id: &str,
        documents: &[ApplyDocument],
        applying: impl Into<Applying>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, Refused> {
        let by = by.into().bounded();
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        let way = Way::of(applying.into())?;
        check_documents(documents)?;
        self.check_listener(documents)?;
        let read = self.check_against_stored(source, documents).await?;
        let merged = self.merge_all(documents, &way, &by).await?;
        let images = self.resolve_all(documents, &merged).await?;
        let _writing = self.writing.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        // Resolving may have taken minutes: what was true before it is looked at again.
        let found = self.check_against_stored(source, documents).await?;
        let merged = self.merge_all(documents, &way, &by).await?;
        self.check_memory(&specs(documents, &merged)).await?;
        let mut run = Run { source, ..Run::new(request_id, &by, documents.len()) };
        if found != read {
            self.check_read(documents, &way, &images, &read, &run).await?;
        }
        for (document, image) in documents.iter().zip(&images) {
            let edit = |before: &Before, writer: &Writer<'_>| {
                before.service().map_or(Ok(()), |service| self.check_owner(source, document, service))?;
                before.apply(document, &way, image.as_ref(), writer)
            };
            if way.applying.writes() {
                self.edit(&mut run, &document.name, &document.origin, edit).await?;
            } else {
                let before = self.read_before(&document.name).await?;
                run.results.push(edit(&before, &self.writer(&run))?.result());
            }
        }
        Ok(run.results)
    }

    /// Sets replica counts.
    ///
    /// # Errors
    /// As [`Controller::apply`]; an unknown service or an absurd number refuses the whole request.
    pub async fn scale(
        &self,
        request_id: &str,
        targets: &BTreeMap<ServiceName, u32>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, Refused> {
        if let Some((name, count)) = targets.iter().find(|(_, count)| **count > LIMITS.replicas) {
            let limit = LIMITS.replicas;
            return Err(Refused::BadValue(format!(
                "{name}={count} is more than the {limit} replicas a service may have"
            )));
        }
        let names: Vec<ServiceName> = targets.keys().cloned().collect();
        let mut asked = Vec::new();
        for (name, count) in targets {
            // A name that is not known is refused below, together with all others.
            if let Some((service, _)) = self.read_before(name).await?.service {
                asked.push((name, ServiceSpec { replicas: Some(*count), ..service.spec }));
            }
        }
        self.check_memory(&asked).await?;
        self.edit_each(request_id, &names, &by.into(), |_, service, writer| {
            let count = targets.get(service.name()).copied().unwrap_or_default();
            Ok(edit::scale(service, count, writer))
        })
        .await
    }

    /// Deletes services: they are marked, their routes are free at once, and their replicas drain and go. Their volumes
    /// stay, unless they are named with them.
    ///
    /// # Errors
    /// As [`Controller::apply`]; a volume that another service declares as well refuses the whole request.
    pub async fn delete(
        &self,
        request_id: &str,
        names: &[ServiceName],
        volumes: bool,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, Refused> {
        self.delete_as(None, request_id, names, volumes, by).await
    }

    /// As [`Controller::delete`], for a command or for a manifests directory.
    pub(crate) async fn delete_as(
        &self,
        source: Option<&str>,
        request_id: &str,
        names: &[ServiceName],
        volumes: bool,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, Refused> {
        for name in names {
            if let Some((service, _)) = self.read_before(name).await?.service
                && (service.source.is_some() || source.is_some())
            {
                self.check_source(&service, source)?;
            }
        }
        if volumes && self.answered(request_id).await?.is_none() {
            self.check_volumes_unshared(names).await?;
        }
        self.edit_each(request_id, names, &by.into(), |_, service, writer| {
            Ok(edit::delete(service, volumes, writer))
        })
        .await
    }

    /// Edits services that must exist and must not be on their way out (but to be deleted again).
    pub(super) async fn edit_each(
        &self,
        request_id: &str,
        names: &[ServiceName],
        by: &Author,
        change: impl Fn(&Before, &Service, &Writer<'_>) -> Result<Edit, Refused>,
    ) -> Result<Vec<WriteResult>, Refused> {
        let by = by.clone().bounded();
        let _writing = self.writing.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        let mut missing = Vec::new();
        for name in names {
            if self.store.get(&key::service(name)).await?.is_none() {
                missing.push(name.clone());
            }
        }
        if !missing.is_empty() {
            return Err(Refused::NotFound(missing));
        }
        let mut run = Run::new(request_id, &by, names.len());
        for name in names {
            let edit = |before: &Before, writer: &Writer<'_>| match before.service() {
                Some(service) => {
                    let edit = change(before, service, writer)?;
                    let going = service.deleted_at.is_some() && edit.action != Action::Deleted;
                    if going { Err(Refused::BeingDeleted(name.clone())) } else { Ok(edit) }
                }
                None => Err(Refused::NotFound(vec![name.clone()])),
            };
            self.edit(&mut run, name, &by.command, edit).await?;
        }
        Ok(run.results)
    }

    /// Reads, edits and commits one service; again where someone else was faster.
    async fn edit(
        &self,
        run: &mut Run<'_>,
        name: &ServiceName,
        origin: &str,
        change: impl Fn(&Before, &Writer<'_>) -> Result<Edit, Refused>,
    ) -> Result<(), Refused> {
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
                    self.check_claims_of(name, origin, &edit.after.spec.routes).await?
                }
            }
        }
        let written = run.results.iter().map(|result| result.name.clone()).collect();
        let now = self.existing(name).await?;
        Err(changed_meanwhile(&now, read.unwrap_or_default(), written))
    }

    fn writer<'a>(&self, run: &Run<'a>) -> Writer<'a> {
        let source = run.source.map(str::to_owned);
        Writer { by: run.by, at: self.clock.wall(), uid: self.clock.uuid(), source }
    }

    pub(super) async fn existing(&self, name: &ServiceName) -> Result<Service, Refused> {
        match self.store.get(&key::service(name)).await? {
            Some(entry) => Ok(entry.decode()?),
            None => Err(Refused::NotFound(vec![name.clone()])),
        }
    }

    /// Refuses documents that want the balancer's address where no listener covers the gateways of the apps' networks.
    fn check_listener(&self, documents: &[ApplyDocument]) -> Result<(), Refused> {
        if self.http.iter().any(|address| address.ip().is_unspecified()) {
            return Ok(());
        }
        let url = EnvValue::Field { field: EnvField::BalancerUrl };
        let asking =
            documents.iter().filter(|document| document.spec.env.values().any(|value| *value == url));
        let origins: Vec<String> = asking.map(|document| document.origin.clone()).collect();
        if origins.is_empty() { Ok(()) } else { Err(Refused::NoListener(origins)) }
    }

    /// Refuses documents whose name is another app's or on its way out, or whose routes a service outside of this run
    /// holds; two documents of one run are `check_documents`' case. Brings the generations that were read.
    async fn check_against_stored(
        &self,
        source: Option<&str>,
        documents: &[ApplyDocument],
    ) -> Result<Vec<Generation>, Refused> {
        let mut read = Vec::new();
        for document in documents {
            let before = self.read_before(&document.name).await?;
            before.service().map_or(Ok(()), |service| self.check_owner(source, document, service))?;
            read.push(before.generation());
        }
        for document in documents {
            self.check_claims_of(&document.name, &document.origin, &document.spec.routes).await?;
        }
        Ok(read)
    }

    /// Refuses the run where somebody wrote one of its services while images were resolved, and it would be overwritten.
    async fn check_read(
        &self,
        documents: &[ApplyDocument],
        way: &Way,
        images: &[Option<ResolvedImage>],
        read: &[Generation],
        run: &Run<'_>,
    ) -> Result<(), Refused> {
        for ((document, image), read) in documents.iter().zip(images).zip(read) {
            let before = self.read_before(&document.name).await?;
            let edit = before.apply(document, way, image.as_ref(), &self.writer(run))?;
            before.check_read(*read, &edit)?;
        }
        Ok(())
    }

    async fn check_claims_of(
        &self,
        name: &ServiceName,
        origin: &str,
        routes: &[Route],
    ) -> Result<(), Refused> {
        for route in routes {
            let Some(entry) = self.store.get(&key::route_claim(route)).await? else { continue };
            let holder: ServiceName = entry.decode()?;
            if holder != *name {
                let (route, service, origin) = (route.claim(), name.clone(), origin.to_owned());
                return Err(Refused::RouteClaimed { route, service, origin, holder });
            }
        }
        Ok(())
    }

    pub(super) async fn answered(&self, request_id: &str) -> Result<Option<Vec<WriteResult>>, Refused> {
        requests::check_id(request_id)?;
        Ok(requests::answered(self.store.as_ref(), request_id).await?)
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
    if let Some((service, _)) = before.service.as_ref().filter(|(service, _)| service.halt != edit.after.halt)
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
        txn.ops.push(Op::put(claim.clone(), name));
    }
    txn.ops.extend(old.difference(&new).map(|claim| Op::delete(claim.clone())));
    txn
}
