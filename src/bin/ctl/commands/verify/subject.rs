//! The service to verify: idle, and reached through its first route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::{DaemonStatus, ErrorDetail, RolloutStateName, ServiceObject};
use coxswain::model::{HostPattern, RevisionNumber, Route, ServiceName};

use super::args::Args;
use crate::error::CliError;
use crate::load::{LoadTarget, LoadTls};
use crate::session::Session;

/// Beyond the route's timeout, so that a slow answer is counted as the balancer's 504.
const BEYOND_ROUTE: Duration = Duration::from_secs(5);
/// The `Host` header for a route without a host.
const ANY_HOST: &str = "localhost";

/// The state of the service before the run.
pub(super) struct VerifiedService {
    pub(super) name: ServiceName,
    pub(super) replicas: u32,
    pub(super) revision: RevisionNumber,
    pub(super) target: LoadTarget,
}

impl VerifiedService {
    pub(super) async fn find(session: &Session<'_>, args: &Args) -> Result<Self, CliError> {
        let service = session.client.service(&args.service).await?;
        let DaemonStatus { http, https, .. } = session.client.status().await?;
        let name = args.service.clone();
        let revision = idle_revision(&service)?;
        let usage = |what: String| CliError::of(&codes::USAGE, what);
        let Some(route) = service.spec.routes.iter().find(|route| takes_every_request(route)) else {
            return Err(usage(format!(
                "{name} has no route that takes every request of its path, and verify sends requests through the balancer"
            )));
        };
        // such a route redirects what comes without TLS
        let is_secure = route.tls.is_some() && route.https_redirect && !https.is_empty();
        let listeners = if is_secure { https } else { http };
        let address = listeners.first().and_then(|address| address.parse().ok());
        let Some(address) = address.map(reachable) else {
            return Err(usage("the daemon has no HTTP listener (`ctl serve --http ADDR`)".to_owned()));
        };
        let path = path(route, args.path.as_deref()).map_err(usage)?;
        let host = host(route);
        let target = LoadTarget {
            address,
            tls: is_secure.then(|| LoadTls::new(&host)).transpose().map_err(usage)?,
            host,
            path,
            method: args.method.method(),
            deadline: route.timeout.std() + BEYOND_ROUTE,
            late_after: args.late.std(),
        };
        Ok(Self { name, replicas: service.status.wanted, revision, target })
    }
}

/// Whether requests without a password and without particular headers are forwarded. Their addresses are not known here.
fn takes_every_request(route: &Route) -> bool {
    let Route { redirect, matches, filters, .. } = route;
    redirect.is_none() && matches.is_empty() && filters.basic_auth.is_none() && !filters.maintenance
}

/// A host that the route matches.
fn host(route: &Route) -> String {
    match route.hosts() {
        Some(HostPattern::Exact(host)) => host,
        Some(HostPattern::Wildcard(parent)) => format!("verify.{parent}"),
        Some(HostPattern::Any) | None => ANY_HOST.to_owned(),
    }
}

/// The running revision of an idle service.
fn idle_revision(service: &ServiceObject) -> Result<RevisionNumber, CliError> {
    let name = &service.metadata.name;
    let status = &service.status;
    let not_now = |what: String| {
        CliError::from(ErrorDetail {
            now: Some("nothing was changed".to_owned()),
            next: vec![format!("ctl wait {name} --for ready")],
            ..codes::NOT_NOW.detail(what)
        })
    };
    if status.wanted == 0 {
        return Err(CliError::of(&codes::USAGE, format!("{name} is scaled to 0; nothing to verify")));
    }
    let complete = status.rollout.as_ref().filter(|rollout| rollout.state == RolloutStateName::Complete);
    match complete {
        Some(rollout) if status.available == status.wanted => Ok(rollout.target),
        Some(_) => {
            let ready = format!("{}/{} replicas ready", status.available, status.wanted);
            Err(not_now(format!("{name} must be healthy before it is verified: {ready}")))
        }
        None => Err(not_now(format!(
            "{name} must be idle before it is verified: its last rollout is not complete"
        ))),
    }
}

/// The address of a listener as seen from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The requested path, or the route's.
fn path(route: &Route, asked: Option<&str>) -> Result<String, String> {
    let path = asked.unwrap_or(&route.path);
    let sendable = path.starts_with('/') && path.parse::<http::Uri>().is_ok();
    if !sendable {
        return Err(format!("`{path}` is not a path; expected something like /health?full=1"));
    }
    let plain = path.split('?').next().unwrap_or_default();
    let under = plain.strip_prefix(route.path.as_str());
    match under {
        Some(rest) if rest.is_empty() || route.path.ends_with('/') || rest.starts_with('/') => {
            Ok(path.to_owned())
        }
        _ => Err(format!("path {path} is not below the service's first route, {}", route.claim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_must_be_below_the_route() {
        let api = Route::to(None, "/api");
        assert_eq!(path(&api, None).as_deref(), Ok("/api"));
        for good in ["/api", "/api/", "/api/x?y=1", "/api?x=/"] {
            assert_eq!(path(&api, Some(good)).as_deref(), Ok(good));
        }
        for bad in ["/", "/apis", "api", "/a pi", "http://x/api"] {
            assert!(path(&api, Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(path(&Route::to(None, "/"), Some("/x?y=1")).as_deref(), Ok("/x?y=1"));
    }

    #[test]
    fn reachable_replaces_unspecified_with_loopback() {
        let reached = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("10.0.0.5:80"), "10.0.0.5:80");
    }
}
