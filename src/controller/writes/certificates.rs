//! The certificates that documents ask for: one that cannot serve is refused before anything is written.
//!
//! A route that has its certificate already is not checked: what is wrong with that is shown in the service's conditions, and must not
//! hold up a release.

use std::time::Duration;

use super::handle::Writes;
use super::types::{ApplyDocument, DocumentProblem};
use crate::certificates::check_files;
use crate::controller::error::ControllerError;
use crate::model::{CertificateSource, HostPattern, Problem, Route, Service, key};

/// A file system that hangs must not hang the apply.
const FILES_MAX: Duration = Duration::from_secs(5);

impl Writes {
    /// Refuses documents with a new route whose certificate cannot be read, does not match its key, is out of date or for another host;
    /// and all of them if the daemon serves no HTTPS.
    pub(super) async fn check_certificates(
        &self,
        documents: &[ApplyDocument],
    ) -> Result<(), ControllerError> {
        let mut problems = Vec::new();
        let mut has_hung = false;
        for (document, declared) in documents.iter().enumerate() {
            let Some(spec) = declared.spec.as_service() else { continue };
            if spec.routes.iter().all(|route| route.tls.is_none()) {
                continue;
            }
            let listing = self.store.list(key::SERVICES).await?;
            let services: Vec<Service> =
                listing.entries.iter().map(|entry| entry.decode()).collect::<Result<_, _>>()?;
            let (own, others): (Vec<Service>, Vec<Service>) =
                services.into_iter().partition(|service| service.name().as_str() == declared.name.as_str());
            let stored: Vec<Route> = own.into_iter().flat_map(|service| service.spec.routes).collect();
            for (index, route) in spec.routes.iter().enumerate() {
                let is_same = |old: &Route| old.host == route.host && old.tls == route.tls;
                if stored.iter().any(is_same) {
                    continue;
                }
                let conflict = owner_conflict(&others, route, index);
                let problem = match conflict {
                    Some(problem) => Some(problem),
                    None => self.certificate_problem(route, index, &mut has_hung).await,
                };
                problems.extend(problem.map(|problem| DocumentProblem { document, problem }));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ControllerError::Invalid(problems)) }
    }

    /// Files are read until one hangs: the documents are refused then, and the others would hang as well.
    async fn certificate_problem(&self, route: &Route, index: usize, has_hung: &mut bool) -> Option<Problem> {
        let tls = route.tls.as_ref()?;
        let at = |field: &str| format!("spec.route[{index}].{field}");
        if self.https.is_empty() {
            let message = "the daemon serves no HTTPS: it was started without `--https`";
            return Some(Problem::new(at("tls"), message).suggest("ctl serve --https 0.0.0.0:443"));
        }
        let CertificateSource::Files { cert, key } = tls.source() else { return None };
        if *has_hung {
            return None;
        }
        // a host that is none is refused elsewhere
        let host: HostPattern = route.host.as_deref()?.parse().ok()?;
        let now = self.clock.wall();
        let path = cert.clone();
        let check = tokio::task::spawn_blocking(move || check_files(&cert, &key, &host, now));
        let message = match tokio::time::timeout(FILES_MAX, check).await {
            Ok(Ok(checked)) => checked.err()?.to_string(),
            Ok(Err(error)) => format!("cannot read {path}: {error}"),
            Err(_) => {
                *has_hung = true;
                format!("cannot read {path} and its key: no answer within {} s", FILES_MAX.as_secs())
            }
        };
        Some(Problem::new(at("tls"), message))
    }
}

/// A host has one certificate: another service that has it from elsewhere keeps it.
fn owner_conflict(others: &[Service], route: &Route, index: usize) -> Option<Problem> {
    let tls = route.tls.as_ref()?;
    let live = others.iter().filter(|service| service.deleted_at.is_none());
    let found = live.flat_map(|service| service.spec.routes.iter().map(move |other| (service, other)));
    let (owner, source) =
        found.filter(|(_, other)| other.host == route.host).find_map(|(service, other)| {
            Some((service.name(), other.tls.as_ref().filter(|other| *other != tls)?.source()))
        })?;
    let host = route.host.as_deref().unwrap_or_default();
    let message = format!("`{host}` has its certificate from {source}, by service {owner}; a host has one");
    Some(Problem::new(format!("spec.route[{index}].tls"), message))
}
