//! Who may send requests to a route, how large they may be, and which headers change on the way. Pure.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::MemorySize;

/// What a route does to requests and responses besides forwarding them. Tables of older versions lack it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteFilters {
    /// Every request gets 503.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Clients outside of these ranges get 403; empty: every client may send.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
    /// Clients without one of these passwords get 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A longer body gets 413.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_size: Option<MemorySize>,
    /// Bodies of the balancer's own answers, by status: see [`RouteFilters::PAGE_STATUSES`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub error_pages: BTreeMap<String, String>,
    /// Of requests, before they are forwarded.
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    pub request_headers: HeaderEdits,
    /// Of the service's responses, and of redirects.
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    pub response_headers: HeaderEdits,
}

impl RouteFilters {
    /// The balancer's answers to requests of a route, but for redirects.
    pub const PAGE_STATUSES: [&str; 7] = ["401", "403", "408", "413", "502", "503", "504"];

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Users of a route with the hashes of their passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// What the browser's dialog names.
    #[serde(default = "realm")]
    pub realm: String,
    /// Hashes by user.
    pub users: BTreeMap<String, String>,
    /// Whether the service gets the `Authorization` header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
}

fn realm() -> String {
    BasicAuth::REALM.to_owned()
}

impl BasicAuth {
    /// Without a realm.
    pub const REALM: &str = "restricted";
}

/// Changes of headers, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderEdits {
    /// Every line of these goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// One line of each, in place of those that came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// A further line of each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
}

impl HeaderEdits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { remove, set, add } = self;
        remove.is_empty() && set.is_empty() && add.is_empty()
    }

    /// The names of all changed headers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.set.keys().chain(self.add.keys()).chain(&self.remove);
        named.map(String::as_str)
    }
}
