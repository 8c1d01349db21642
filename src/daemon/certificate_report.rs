//! Which hosts want a certificate, and how what was found is shown. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::certificates::HostCertificate;
use crate::controller::CertificateSnapshot;
use crate::model::{CertificateSource, CertificateState, HostPattern, Service, ServiceName};

/// The hosts that want a certificate, each with its source and the services that ask for it.
pub(super) type WantedCertificates = BTreeMap<HostPattern, WantedCertificate>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedCertificate {
    pub(super) source: CertificateSource,
    pub(super) services: BTreeSet<ServiceName>,
    /// Services that ask for another source: the first by name decides.
    pub(super) others: BTreeMap<ServiceName, CertificateSource>,
}

/// What the services want. Of several that want a host's certificate from different sources, the first by name decides.
pub(super) fn wanted(services: &[Service]) -> WantedCertificates {
    let mut live: Vec<&Service> = services.iter().filter(|service| service.deleted_at.is_none()).collect();
    live.sort_by_key(|service| service.name());
    let mut wanted = WantedCertificates::new();
    for service in live {
        for route in &service.spec.routes {
            let (Some(tls), Some(Ok(host))) = (&route.tls, route.host.as_ref().map(|host| host.parse()))
            else {
                continue;
            };
            let source = tls.source();
            let entry = wanted.entry(host).or_insert_with(|| WantedCertificate {
                source: source.clone(),
                services: [].into(),
                others: BTreeMap::new(),
            });
            if entry.source != source {
                entry.others.insert(service.name().clone(), source);
            }
            entry.services.insert(service.name().clone());
        }
    }
    wanted
}

/// How each is shown.
pub(super) fn report(
    wanted: &WantedCertificates,
    found: &BTreeMap<HostPattern, HostCertificate>,
    has_listener: bool,
    now: Timestamp,
) -> Vec<CertificateSnapshot> {
    let shown = |(host, wanted): (&HostPattern, &WantedCertificate)| {
        let found = found.get(host)?;
        let facts = found.facts.as_ref();
        let (state, reason) = state(wanted, found, has_listener, now);
        Some(CertificateSnapshot {
            host: host.clone(),
            source: wanted.source.to_string(),
            services: wanted.services.clone(),
            state,
            reason,
            not_before: facts.map(|facts| facts.not_before),
            not_after: facts.map(|facts| facts.not_after),
            issuer: facts.map(|facts| facts.issuer.clone()),
        })
    };
    wanted.iter().filter_map(shown).collect()
}

fn state(
    wanted: &WantedCertificate,
    found: &HostCertificate,
    has_listener: bool,
    now: Timestamp,
) -> (CertificateState, Option<String>) {
    let problem = found.problem.as_ref().map(ToString::to_string);
    let Some(facts) = &found.facts else { return (CertificateState::Missing, problem) };
    if !has_listener {
        let reason = "the daemon serves no HTTPS; start it with `ctl serve --https ADDR`";
        return (CertificateState::Missing, Some(reason.to_owned()));
    }
    if now >= facts.not_after || now < facts.not_before {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d");
        let reason = problem.unwrap_or_else(|| match now < facts.not_before {
            true => format!("it is not valid before {}", day(facts.not_before)),
            false => format!("it ended on {}", day(facts.not_after)),
        });
        return (CertificateState::OutOfDate, Some(reason));
    }
    if let Some(problem) = problem {
        return (CertificateState::Stale, Some(format!("{problem}; an earlier certificate serves")));
    }
    if let Some((service, source)) = wanted.others.first_key_value() {
        let reason = format!("service {service} wants it from {source}; the first service by name decides");
        return (CertificateState::Stale, Some(reason));
    }
    if facts.is_expiring(now) {
        let end = facts.not_after.strftime("%Y-%m-%d");
        return (CertificateState::Expiring, Some(format!("it ends on {end} and was not renewed")));
    }
    (CertificateState::Valid, None)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::certificates::{CertificateFacts, CertificateProblem};
    use crate::model::{PrivateKeyPem, Route, RouteTls, TlsCertificate};
    use crate::testing;

    fn service(name: &str, host: &str, tls: RouteTls) -> Service {
        let mut service = testing::service(name);
        service.spec.routes = vec![Route { tls: Some(tls), ..Route::to(Some(host.to_owned()), "/") }];
        service
    }

    fn files() -> RouteTls {
        RouteTls::Files { cert: "/c".to_owned(), key: "/k".to_owned() }
    }

    fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    fn found(days_left: i64, problem: Option<CertificateProblem>) -> HostCertificate {
        HostCertificate {
            served: Some(TlsCertificate { chain: "c".into(), key: PrivateKeyPem::new("k") }),
            facts: Some(CertificateFacts {
                names: vec!["shop.test".to_owned()],
                not_before: now() - (90 * 24).hours(),
                not_after: now() + (days_left * 24).hours(),
                issuer: "CN=x".to_owned(),
            }),
            problem,
        }
    }

    #[test]
    fn first_service_by_name_decides_where_a_certificate_comes_from() {
        let mut gone = service("a", "shop.test", RouteTls::AUTO);
        gone.deleted_at = Some(now());
        let services = [service("z", "shop.test", RouteTls::AUTO), gone, service("b", "shop.test", files())];
        let wanted = wanted(&services);
        let shop = &wanted[&"shop.test".parse().unwrap()];
        assert_eq!(shop.source, CertificateSource::Files { cert: "/c".to_owned(), key: "/k".to_owned() });
        assert_eq!(shop.services, ["b".into(), "z".into()].into());
        let found = [("shop.test".parse().unwrap(), found(60, None))].into();
        let shown = report(&wanted, &found, true, now());
        assert!(shown[0].reason.as_ref().unwrap().starts_with("service z wants it from local CA"));
    }

    #[test]
    fn state_says_what_clients_get() {
        let wanted = wanted(&[service("shop", "shop.test", files())]);
        let state_of = |found: HostCertificate, has_listener| {
            let found = [("shop.test".parse().unwrap(), found)].into();
            let shown = report(&wanted, &found, has_listener, now()).remove(0);
            (shown.state, shown.reason)
        };
        let unread =
            || CertificateProblem::Unreadable { path: "/c".to_owned(), why: "no such file".to_owned() };
        let missing = HostCertificate { served: None, facts: None, problem: Some(unread()) };
        assert_eq!(state_of(found(60, None), true), (CertificateState::Valid, None));
        for (found, has_listener, state, reason) in [
            (missing, true, CertificateState::Missing, "cannot read /c: no such file"),
            (found(60, None), false, CertificateState::Missing, "start it with `ctl serve --https ADDR`"),
            (found(60, Some(unread())), true, CertificateState::Stale, "an earlier certificate serves"),
            (found(-1, Some(unread())), true, CertificateState::OutOfDate, "cannot read /c"),
            (found(-1, None), true, CertificateState::OutOfDate, "ended on 2026-05-31"),
            (found(5, None), true, CertificateState::Expiring, "ends on 2026-06-06"),
        ] {
            let (shown, why) = state_of(found, has_listener);
            assert_eq!(shown, state);
            assert!(why.as_ref().unwrap().contains(reason), "{why:?}");
        }
    }
}
