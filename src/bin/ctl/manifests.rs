//! Loads manifests and shows each problem at its place in the file.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ApplyDocument, ErrorDetail};
use coxswain::manifest::{Document, Finding, ManifestSource, parse};

use crate::error::CliError;
use crate::files::FileArgs;
use crate::output::{Ui, manifest};

/// The valid documents of a run and their sources.
pub(crate) struct LoadedManifests {
    sources: Vec<ManifestSource>,
    pub(crate) documents: Vec<Document>,
}

impl LoadedManifests {
    /// Reads and checks all manifests; reports all problems at once.
    pub(crate) fn load(files: &FileArgs, ui: &Ui) -> Result<Self, CliError> {
        let sources = files.read()?;
        match parse(&sources) {
            Ok(documents) if documents.is_empty() => {
                let why =
                    sources.iter().map(|source| format!("{}: no document found", source.name)).collect();
                let error = codes::FILE_UNREADABLE.detail("no document found");
                Err(ErrorDetail { why, ..error }.into())
            }
            Ok(documents) => Ok(Self { sources, documents }),
            Err(findings) => {
                let now = Some("nothing was changed".to_owned());
                let error = ErrorDetail { now, ..codes::INVALID_MANIFEST.detail(summary(&findings)) }.into();
                Err(CliError::Manifests {
                    reports: manifest::reports(&findings, &sources, ui.style()),
                    error,
                })
            }
        }
    }

    pub(crate) fn request(&self) -> Vec<ApplyDocument> {
        let document = |document: &Document| ApplyDocument {
            name: document.name.clone(),
            app: document.app.clone(),
            annotations: document.annotations.clone(),
            spec: document.spec.clone(),
            origin: document.origin(),
        };
        self.documents.iter().map(document).collect()
    }

    /// Turns the daemon's error into one that shows its problems at their place in the files.
    pub(crate) fn rejected(&self, mut error: ApiError, ui: &Ui) -> CliError {
        let problems = std::mem::take(&mut error.problems);
        let (known, unknown): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.document < self.documents.len());
        error.problems = unknown;
        let findings: Vec<Finding> =
            known.iter().map(|problem| self.documents[problem.document].finding(&problem.problem)).collect();
        if findings.is_empty() {
            return error.into();
        }
        let reports = manifest::reports(&findings, &self.sources, ui.style());
        CliError::Manifests { reports, error }
    }
}

fn summary(findings: &[Finding]) -> String {
    let mut files: Vec<&str> = findings.iter().map(|finding| finding.place.file.as_str()).collect();
    files.dedup();
    let problems = if findings.len() == 1 { "problem" } else { "problems" };
    format!("{} {problems} in {}", findings.len(), files.join(", "))
}
