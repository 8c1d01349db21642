//! The user's writes: check, resolve, commit.
//!
//! Every document of a run is checked and every image resolved before the first write; how one is written is
//! `commit`'s.

use std::collections::BTreeMap;

use super::before::Before;
use super::commit::{Going, Run};
use super::documents::check_documents;
use super::edit::{self, Writer};
use super::overrides::{Way, specs};
use super::request::{ApplyDocument, ApplyOptions, WriteResult};
use super::requests;
use crate::agent::{AgentState, BalancerUrl};
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::{
    Author, EnvField, EnvValue, Generation, LIMITS, ObjectRef, ResolvedImage, Route, Service, ServiceName,
    ServiceSpec, key,
};

impl Controller {
    /// Applies documents: all are checked, merged with what commands changed, and resolved before the first
    /// is written.
    ///
    /// # Errors
    /// [`ControllerError`] with all problems of one kind together; nothing was written, but for
    /// [`ControllerError::ChangedMeanwhile`], which says what was.
    pub async fn apply(
        &self,
        request_id: &str,
        documents: &[ApplyDocument],
        applying: impl Into<ApplyOptions>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        self.apply_as(None, request_id, documents, &[], applying, by).await
    }

    /// As [`Controller::apply`], for a command or for a manifests directory, whose services `leaving` go in the same
    /// request: what they hold is free for the documents, and they stay where a document is refused.
    pub(super) async fn apply_as(
        &self,
        source: Option<&str>,
        request_id: &str,
        documents: &[ApplyDocument],
        leaving: &[ServiceName],
        applying: impl Into<ApplyOptions>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.into().bounded();
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        let way = Way::of(applying.into())?;
        check_documents(documents)?;
        self.check_balancer_known(documents)?;
        let read = self.check_against_stored(source, documents, leaving).await?;
        let merged = self.merge_all(documents, &way, &by).await?;
        let images = self.resolve_all(documents, &merged).await?;
        let _writing = self.writing.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        // Resolving may have taken minutes: what was true before it is looked at again.
        let found = self.check_against_stored(source, documents, leaving).await?;
        let merged = self.merge_all(documents, &way, &by).await?;
        self.check_memory(&specs(documents, &merged), leaving).await?;
        let mut run = Run { source, ..Run::new(request_id, &by, leaving.len() + documents.len()) };
        if found != read {
            self.check_read(documents, &way, &images, &read, &run).await?;
        }
        self.delete_leaving(&mut run, leaving).await?;
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
    ) -> Result<Vec<WriteResult>, ControllerError> {
        if let Some((name, count)) = targets.iter().find(|(_, count)| **count > LIMITS.replicas) {
            let limit = LIMITS.replicas;
            return Err(ControllerError::BadValue(format!(
                "{name}={count} is more than the {limit} replicas a service may have"
            )));
        }
        let names: Vec<ServiceName> = targets.keys().cloned().collect();
        let fits = async {
            let mut asked = Vec::new();
            for (name, count) in targets {
                let service = self.existing(name).await?;
                asked.push((name, ServiceSpec { replicas: Some(*count), ..service.spec }));
            }
            self.check_memory(&asked, &[]).await
        };
        self.edit_each(request_id, &names, Going::ControllerError, &by.into(), fits, |_, service, writer| {
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
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let may_go = async {
            for name in names {
                self.check_source(&self.existing(name).await?, None)?;
            }
            if volumes { self.check_volumes_unshared(names).await } else { Ok(()) }
        };
        self.edit_each(request_id, names, Going::Taken, &by.into(), may_go, |_, service, writer| {
            Ok(edit::delete(service, volumes, writer))
        })
        .await
    }

    pub(super) async fn existing(&self, name: &ServiceName) -> Result<Service, ControllerError> {
        match self.store.get(&key::service(name)).await? {
            Some(entry) => Ok(entry.decode()?),
            None => Err(ControllerError::NotFound(vec![name.clone()])),
        }
    }

    /// Refuses documents that want the balancer's address where nobody knows it. Before Docker has answered for the first
    /// time nothing can be said of it, nor is anything made.
    fn check_balancer_known(&self, documents: &[ApplyDocument]) -> Result<(), ControllerError> {
        let exposure = match &*self.state.borrow() {
            AgentState { balancer: Some(BalancerUrl::Unknown), exposure: Some(exposure), .. } => *exposure,
            _ => return Ok(()),
        };
        let url = EnvValue::Field { field: EnvField::BalancerUrl };
        let asking =
            documents.iter().filter(|document| document.spec.env.values().any(|value| *value == url));
        let origins: Vec<String> = asking.map(|document| document.origin.clone()).collect();
        if origins.is_empty() { Ok(()) } else { Err(ControllerError::BalancerUnknown { origins, exposure }) }
    }

    /// Refuses documents whose name is another app's or on its way out, or whose routes a service holds that is outside of
    /// this run and stays; two documents of one run are `check_documents`' case. Brings the generations that were read.
    async fn check_against_stored(
        &self,
        source: Option<&str>,
        documents: &[ApplyDocument],
        leaving: &[ServiceName],
    ) -> Result<Vec<Generation>, ControllerError> {
        let mut read = Vec::new();
        for document in documents {
            let before = self.read_before(&document.name).await?;
            before.service().map_or(Ok(()), |service| self.check_owner(source, document, service))?;
            read.push(before.generation());
        }
        for document in documents {
            self.check_claims_of(&document.name, &document.origin, &document.spec.routes, leaving).await?;
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
    ) -> Result<(), ControllerError> {
        for ((document, image), read) in documents.iter().zip(images).zip(read) {
            let before = self.read_before(&document.name).await?;
            let edit = before.apply(document, way, image.as_ref(), &self.writer(run))?;
            before.check_read(*read, &edit)?;
        }
        Ok(())
    }

    pub(super) async fn check_claims_of(
        &self,
        name: &ServiceName,
        origin: &str,
        routes: &[Route],
        leaving: &[ServiceName],
    ) -> Result<(), ControllerError> {
        for route in routes {
            let Some(entry) = self.store.get(&key::route_claim(route)).await? else { continue };
            let holder: ObjectRef = entry.decode()?;
            let object = ObjectRef::from(name);
            let leaves = leaving.iter().any(|name| ObjectRef::from(name) == holder);
            if holder != object && !leaves {
                let route = route.claim();
                return Err(ControllerError::RouteClaimed {
                    route,
                    object,
                    origin: origin.to_owned(),
                    holder,
                });
            }
        }
        Ok(())
    }

    pub(super) async fn answered(
        &self,
        request_id: &str,
    ) -> Result<Option<Vec<WriteResult>>, ControllerError> {
        requests::check_id(request_id)?;
        Ok(requests::answered(self.store.as_ref(), request_id).await?)
    }
}
