//! Certificates of HTTPS hosts, as the daemon reports them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::certificates::AuthorityCertificate;
use crate::model::{CertificateState, Condition, ConditionKind, HostPattern, Reason, ServiceName};

/// A host's certificate, as users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSnapshot {
    pub host: HostPattern,
    /// Path of its file, or `local CA`.
    pub source: String,
    /// Services with a route of the host that asks for it.
    pub services: BTreeSet<ServiceName>,
    pub state: CertificateState,
    /// What is wrong, with file and reason.
    pub reason: Option<String>,
    /// Of the one that serves.
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub issuer: Option<String>,
}

/// What the daemon found in its last pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateReport {
    pub certificates: Vec<CertificateSnapshot>,
    /// The local CA, once it has issued.
    pub authority: Option<AuthorityCertificate>,
}

/// The last report.
#[derive(Debug)]
pub struct ServedCertificates {
    report: Mutex<CertificateReport>,
    version: watch::Sender<u64>,
}

impl ServedCertificates {
    pub(in crate::controller) fn new(version: watch::Sender<u64>) -> Self {
        Self { report: Mutex::default(), version }
    }

    /// Replaces the report.
    pub fn set(&self, report: CertificateReport) {
        let mut current = self.report.lock();
        if *current != report {
            *current = report;
            drop(current);
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// The last report.
    pub fn report(&self) -> CertificateReport {
        self.report.lock().clone()
    }

    /// What is wrong with the certificates of a service.
    pub(super) fn of(&self, service: &ServiceName) -> Vec<String> {
        let report = self.report.lock();
        let of_service = report.certificates.iter().filter(|one| one.services.contains(service));
        let broken = of_service.filter(|one| one.state.is_broken());
        broken.filter_map(|one| Some(format!("HTTPS of {}: {}", one.host, one.reason.as_ref()?))).collect()
    }

    /// Shows it in the service's conditions, unless something else is wrong.
    pub(super) fn show_in(&self, conditions: &mut [Condition], service: &ServiceName) {
        let reasons = self.of(service);
        if reasons.is_empty() {
            return;
        }
        let degraded = conditions.iter_mut().find(|condition| condition.kind == ConditionKind::Degraded);
        if let Some(degraded) = degraded.filter(|condition| !condition.status) {
            *degraded = Condition::degraded(Reason::CertificateInvalid, reasons.join("; "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(state: CertificateState) -> CertificateSnapshot {
        CertificateSnapshot {
            host: "shop.test".parse().unwrap(),
            source: "/etc/ssl/shop.pem".to_owned(),
            services: ["shop".into()].into(),
            state,
            reason: Some("/etc/ssl/shop.pem expired on 2026-01-01".to_owned()),
            not_before: None,
            not_after: None,
            issuer: None,
        }
    }

    #[test]
    fn broken_certificate_is_shown_in_its_service_unless_something_else_is_wrong() {
        let served = ServedCertificates::new(watch::Sender::new(0));
        let fine = || Condition {
            kind: ConditionKind::Degraded,
            status: false,
            reason: Reason::AllAvailable,
            message: String::new(),
        };
        let shown = |service: &str, condition: Condition| {
            let mut conditions = [condition];
            served.show_in(&mut conditions, &service.into());
            let [condition] = conditions;
            condition.reason
        };
        for (state, reason) in [
            (CertificateState::Valid, Reason::AllAvailable),
            (CertificateState::Expiring, Reason::AllAvailable),
            (CertificateState::OutOfDate, Reason::CertificateInvalid),
            (CertificateState::Stale, Reason::CertificateInvalid),
            (CertificateState::Missing, Reason::CertificateInvalid),
        ] {
            let certificates = vec![certificate(state)];
            served.set(CertificateReport { certificates, authority: None });
            assert_eq!(shown("shop", fine()), reason, "{state}");
        }
        assert_eq!(shown("other", fine()), Reason::AllAvailable);
        let failed = Condition::degraded(Reason::RolloutFailed, "it failed".to_owned());
        assert_eq!(shown("shop", failed), Reason::RolloutFailed);
        assert_eq!(
            served.of(&"shop".into()),
            ["HTTPS of shop.test: /etc/ssl/shop.pem expired on 2026-01-01"]
        );
    }
}
