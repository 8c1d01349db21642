//! A request, and the explanation of what becomes of it: what `ctl route explain` sends and gets.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::ServiceName;

/// A request as its client would send it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedRequest {
    /// Whether it comes over TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https: bool,
    pub method: String,
    /// Host with an optional port; empty for a request without one.
    pub authority: String,
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Names with values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// What the balancer does with a request, and what it decides that by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteExplanation {
    /// In the form that is routed on.
    pub host: String,
    pub path: String,
    /// In the order in which they are tried; routes of other hosts come last.
    pub routes: Vec<ExplainedRoute>,
    pub outcome: ExplainedOutcome,
}

/// A route, and why it does or does not take the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedRoute {
    /// Host, path and conditions, as `ctl get routes` names it.
    pub route: String,
    /// None for a redirect.
    pub services: Vec<ServiceName>,
    pub result: RouteResult,
    pub reason: String,
}

/// What becomes of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteResult {
    Taken,
    LessSpecific,
    NotMatched,
}

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedOutcome {
    /// Of the balancer's own answer; `None` if the service answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the balancer answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The path that the service gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_path: Option<String>,
    /// Any of these may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<ExplainedEndpoint>,
    /// What else the route does, and what this answer does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An endpoint that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedEndpoint {
    /// The replica's name, where it is managed.
    pub name: String,
    pub revision: u64,
    /// With the port.
    pub address: String,
}
