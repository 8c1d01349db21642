//! An apply: documents are checked, merged, resolved and committed, all or nothing before the first write.

use super::commit::WriteRequest;
use super::documents::{check_documents, check_own_ports};
use super::handle::Writes;
use super::kinds::dispatch;
use super::object::{Object, WriteStamp};
use super::snapshot::WriteSnapshot;
use super::types::{ApplyDocument, ApplyOptions, WriteResult};
use crate::agent::{AgentState, BalancerUrl};
use crate::controller::error::ControllerError;
use crate::model::{Author, Generation, ObjectRef, ResolvedImage};

/// Everything that one apply is made from.
struct ApplyRun<'a> {
    documents: &'a [ApplyDocument],
    /// Objects that are deleted in the same request: what they hold is free for the documents.
    leaving: &'a [ObjectRef],
    options: ApplyOptions,
    /// The manifests directory that applies; `None` for a command.
    source: Option<&'a str>,
}

impl Writes {
    /// Applies documents: all are checked, merged with what commands changed, and resolved before the first is written.
    ///
    /// # Errors
    /// [`ControllerError`] with all problems of one kind together; nothing was written, but for
    /// [`ControllerError::ChangedMeanwhile`], which says what was.
    pub async fn apply(
        &self,
        request_id: &str,
        documents: &[ApplyDocument],
        options: ApplyOptions,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let run = ApplyRun { documents, leaving: &[], options, source: None };
        self.run(run, request_id, by.into()).await
    }

    /// Applies the documents of a manifests directory, and deletes objects that it declares no more: all or nothing.
    ///
    /// # Errors
    /// As [`Writes::apply`].
    pub async fn declare(
        &self,
        source: &str,
        documents: &[ApplyDocument],
        leaving: &[ObjectRef],
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let options = ApplyOptions::default();
        let run = ApplyRun { documents, leaving, options, source: Some(source) };
        let author = Author::from(format!("manifests in {source}").as_str());
        self.run(run, &self.clock.uuid(), author).await
    }

    async fn run(
        &self,
        run: ApplyRun<'_>,
        request_id: &str,
        by: Author,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.bounded();
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        run.options.choices()?;
        check_documents(run.documents)?;
        self.check_balancer_known(run.documents)?;
        check_own_ports(run.documents, &[&self.http[..], &self.https].concat())?;
        let read = self.check_against_stored(&run).await?;
        let merged = self.merge_all(run.documents, &run.options, &by).await?;
        self.check_host_paths(run.documents).await?;
        self.check_certificates(run.documents).await?;
        let images = self.resolve_all(run.documents, &merged).await?;
        let _lock = self.lock.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        // Resolving may have taken minutes: what was true before is checked again.
        let found = self.check_against_stored(&run).await?;
        let merged = self.merge_all(run.documents, &run.options, &by).await?;
        self.check_capacity(run.documents, &merged, run.leaving).await?;
        let total = run.leaving.len() + run.documents.len();
        let mut request =
            WriteRequest { request_id, by: &by, total, results: Vec::new(), source: run.source };
        if found != read {
            self.check_read(&run, &images, &read, &request).await?;
        }
        self.delete_leaving(&mut request, run.leaving).await?;
        for (document, image) in run.documents.iter().zip(&images) {
            let change = |snapshot: &WriteSnapshot, stamp: &WriteStamp<'_>| {
                if let Some(object) = &snapshot.object {
                    self.check_owner(run.source, document, object)?;
                }
                snapshot.apply(document, &run.options, image.as_ref(), stamp)
            };
            if run.options.writes() {
                self.write(&mut request, &document.object(), &document.origin, change).await?;
            } else {
                let snapshot = self.snapshot(&document.object()).await?;
                request.results.push(change(&snapshot, &self.stamp(&request))?.result());
            }
        }
        Ok(request.results)
    }

    /// Refuses documents that want the balancer's address where it is not known. Before Docker has answered for the
    /// first time that cannot be decided, nor is any container created.
    fn check_balancer_known(&self, documents: &[ApplyDocument]) -> Result<(), ControllerError> {
        let exposure = match &*self.agent.borrow() {
            AgentState { balancer: Some(BalancerUrl::Unknown), exposure: Some(exposure), .. } => *exposure,
            _ => return Ok(()),
        };
        let asking = documents.iter().filter(|document| document.spec.asks_for_balancer_url());
        let origins: Vec<String> = asking.map(|document| document.origin.clone()).collect();
        if origins.is_empty() { Ok(()) } else { Err(ControllerError::BalancerUnknown { origins, exposure }) }
    }

    /// Refuses documents whose name belongs to another app or is being deleted, or whose routes an object holds that is
    /// outside of this run and stays; two documents of one run are checked by `check_documents`. Returns the generations
    /// that were read.
    async fn check_against_stored(&self, run: &ApplyRun<'_>) -> Result<Vec<Generation>, ControllerError> {
        let mut read = Vec::new();
        for document in run.documents {
            let snapshot = self.snapshot(&document.object()).await?;
            if let Some(object) = &snapshot.object {
                self.check_owner(run.source, document, object)?;
            }
            read.push(snapshot.generation());
        }
        for document in run.documents {
            let claims = document.spec.claims();
            self.check_claims(&document.object(), &document.origin, &claims, run.leaving).await?;
        }
        Ok(read)
    }

    /// Refuses the run where another writer changed one of its objects while images were resolved, and it would be
    /// overwritten.
    async fn check_read(
        &self,
        run: &ApplyRun<'_>,
        images: &[Option<ResolvedImage>],
        read: &[Generation],
        request: &WriteRequest<'_>,
    ) -> Result<(), ControllerError> {
        for ((document, image), read) in run.documents.iter().zip(images).zip(read) {
            let snapshot = self.snapshot(&document.object()).await?;
            let change = snapshot.apply(document, &run.options, image.as_ref(), &self.stamp(request))?;
            snapshot.check_read(*read, &change)?;
        }
        Ok(())
    }

    /// Deletes what leaves with a run, before its documents are written: they may want its routes.
    async fn delete_leaving(
        &self,
        request: &mut WriteRequest<'_>,
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let source = request.source;
        let origin = request.by.command.clone();
        for name in leaving {
            let delete = |snapshot: &WriteSnapshot, stamp: &WriteStamp<'_>| {
                let object = snapshot.existing()?;
                self.check_source(object, source)?;
                Ok(dispatch::delete(object, false, stamp)?)
            };
            self.write(request, name, &origin, delete).await?;
        }
        Ok(())
    }

    /// Refuses a document that may not write the object of its name.
    fn check_owner(
        &self,
        source: Option<&str>,
        document: &ApplyDocument,
        object: &Object,
    ) -> Result<(), ControllerError> {
        let header = object.header();
        if header.is_being_deleted {
            return Err(ControllerError::BeingDeleted(object.reference()));
        }
        if *header.app != document.app {
            return Err(ControllerError::OtherApp {
                object: object.reference(),
                there: header.app.clone(),
                here: document.app.clone(),
            });
        }
        self.check_source(object, source)
    }

    /// Refuses a write by another source than the object's own. A source that is no longer followed owns nothing.
    pub(super) fn check_source(&self, object: &Object, writer: Option<&str>) -> Result<(), ControllerError> {
        let source = object.header().source;
        let allowed = match source {
            None => writer.is_none(),
            own if own == self.followed.as_deref() => own == writer,
            Some(_) => true,
        };
        if allowed {
            return Ok(());
        }
        let there = source.map(str::to_owned);
        Err(ControllerError::OtherSource { object: object.reference(), there })
    }
}
