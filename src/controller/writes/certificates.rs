//! The certificates that documents ask for: one that cannot serve is refused before anything is written.
//!
//! A route that has its certificate already is not checked: what is wrong with that is shown in the service's conditions, and must not
//! hold up a release.

use std::time::Duration;

use super::handle::Writes;
use super::types::{ApplyDocument, DocumentProblem};
use crate::certificates::{CertificateProblem, check_files};
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
        for (document, declared) in documents.iter().enumerate() {
            let Some(spec) = declared.spec.as_service() else { continue };
            if spec.routes.iter().all(|route| route.tls.is_none()) {
                continue;
            }
            let stored = match self.store.get(&key::service(&declared.name.as_str().into())).await? {
                Some(entry) => entry.decode::<Service>()?.spec.routes,
                None => Vec::new(),
            };
            for (index, route) in spec.routes.iter().enumerate() {
                let is_same = |old: &Route| old.host == route.host && old.tls == route.tls;
                if !stored.iter().any(is_same)
                    && let Some(problem) = self.certificate_problem(route, index).await
                {
                    problems.push(DocumentProblem { document, problem });
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ControllerError::Invalid(problems)) }
    }

    async fn certificate_problem(&self, route: &Route, index: usize) -> Option<Problem> {
        let tls = route.tls.as_ref()?;
        let at = |field: &str| format!("spec.route[{index}].{field}");
        if self.https.is_empty() {
            let message = "the daemon serves no HTTPS: it was started without `--https`";
            return Some(Problem::new(at("tls"), message).suggest("ctl serve --https 0.0.0.0:443"));
        }
        let CertificateSource::Files { cert, key } = tls.source() else { return None };
        // a host that is none is refused elsewhere
        let host: HostPattern = route.host.as_deref()?.parse().ok()?;
        let now = self.clock.wall();
        let check = tokio::task::spawn_blocking(move || check_files(&cert, &key, &host, now));
        let problem = match tokio::time::timeout(FILES_MAX, check).await {
            Ok(Ok(checked)) => checked.err()?,
            Ok(Err(_)) | Err(_) => CertificateProblem::Hanging,
        };
        Some(Problem::new(at("tls"), problem.to_string()))
    }
}
