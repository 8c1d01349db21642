//! HTTPS in a routing table: the listener, certificates, which routes redirect to it. Pure.

use std::collections::BTreeMap;

use crate::model::{
    HostPattern, Listener, ListenerId, Route, RouteAction, RouteHttps, RoutingTable, TlsCertificate,
    pattern_for,
};

/// What HTTPS is served with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpsSettings {
    /// The port that clients connect to; `None` if the daemon has no such listener.
    pub port: Option<u16>,
    pub certificates: BTreeMap<HostPattern, TlsCertificate>,
}

/// What a route says about HTTPS.
pub(super) fn of_route(route: &Route) -> RouteHttps {
    let is_secure = route.tls.is_some();
    let hsts = route.hsts.filter(|_| is_secure);
    RouteHttps { redirect: is_secure && route.https_redirect, hsts: hsts.map(|hsts| hsts.header()) }
}

/// Serves the table's routes over HTTPS too. Which of them a client reaches depends on the certificates; a route of a host without
/// one redirects nothing, because its clients would get nowhere.
pub(super) fn add(table: &mut RoutingTable, settings: &HttpsSettings) {
    let certificates = &settings.certificates;
    for route in &mut table.routes {
        let is_served = |host: &HostPattern| match host {
            HostPattern::Exact(name) => pattern_for(certificates, name).is_some(),
            HostPattern::Wildcard(_) => certificates.contains_key(host),
            HostPattern::Any => false,
        };
        let is_redirected = settings.port.is_some() && route.hosts.iter().all(is_served);
        if let RouteAction::Forward(forward) = &mut route.action {
            forward.https.redirect &= is_redirected;
        }
        if settings.port.is_some() && route.listeners.contains(&ListenerId::public_http()) {
            route.listeners.insert(ListenerId::public_https());
        }
    }
    if let Some(port) = settings.port {
        table.listeners.insert(ListenerId::public_https(), Listener::public_https(port));
        table.certificates.clone_from(certificates);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{service, table_name};
    use super::super::table::build;
    use super::*;
    use crate::model::{Hsts, PrivateKeyPem, RouteTls, Service};

    fn shop() -> Service {
        let mut shop = service("shop", &["shop.test/", "shop.test/api", "*/"]);
        shop.spec.routes[0].tls = Some(RouteTls::AUTO);
        shop.spec.routes[0].hsts = Some(Hsts::default());
        shop
    }

    fn settings(port: Option<u16>, hosts: &[&str]) -> HttpsSettings {
        let pair = || TlsCertificate { chain: "chain".into(), key: PrivateKeyPem::new("key") };
        let certificates = hosts.iter().map(|host| (host.parse().unwrap(), pair())).collect();
        HttpsSettings { port, certificates }
    }

    /// Of each route whether it is served over HTTPS, and whether it redirects.
    fn https(service: &Service, settings: &HttpsSettings) -> (RoutingTable, Vec<(String, bool, bool)>) {
        let mut table = build(table_name(1), [service], [], []);
        add(&mut table, settings);
        let of_route = |route: &crate::model::TableRoute| {
            let RouteAction::Forward(forward) = &route.action else { panic!("a redirect") };
            let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
            let is_served = route.listeners.contains(&ListenerId::public_https());
            (format!("{}{}", hosts.join(","), route.path.as_str()), is_served, forward.https.redirect)
        };
        let routes = table.routes.iter().map(of_route).collect();
        (table, routes)
    }

    #[test]
    fn all_routes_are_served_over_https_and_those_with_tls_redirect() {
        let (table, routes) = https(&shop(), &settings(Some(8443), &["shop.test"]));
        let row = |claim: &str, redirects| (claim.to_owned(), true, redirects);
        assert_eq!(routes, [row("shop.test/api", false), row("shop.test/", true), row("*/", false)]);
        assert_eq!(table.listeners[&ListenerId::public_https()], Listener::public_https(8443));
        assert_eq!(table.certificates.len(), 1);
        let RouteAction::Forward(forward) = &table.routes[1].action else { panic!("a redirect") };
        assert_eq!(forward.https.hsts.as_deref(), Some("max-age=31536000"));
    }

    #[test]
    fn route_whose_host_has_no_certificate_redirects_nothing() {
        for hosts in [&[][..], &["other.test"]] {
            let (_, routes) = https(&shop(), &settings(Some(443), hosts));
            assert!(routes.iter().all(|(_, is_served, redirects)| *is_served && !redirects), "{routes:?}");
        }
        let (_, routes) = https(&shop(), &settings(Some(443), &["*.test"]));
        assert!(routes[1].2, "{routes:?}");
    }

    #[test]
    fn table_without_an_https_listener_is_as_before() {
        let mut plain = shop();
        plain.spec.routes[0].tls = None;
        let (table, routes) = https(&plain, &settings(None, &["shop.test"]));
        assert_eq!(table, build(table_name(1), [&plain], [], []));
        assert!(routes.iter().all(|(_, is_served, redirects)| !is_served && !redirects));
    }
}
