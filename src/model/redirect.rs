//! A route that answers with another address. Pure.

use serde::{Deserialize, Serialize};

/// Answers with another address; what is `None` stays as it was requested, and so does the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedirectAction {
    /// One of [`RedirectAction::STATUSES`].
    #[serde(default = "found")]
    pub status: u16,
    /// `http` or `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Host with an optional port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Takes the place of the route's path; what follows that in the request is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

const fn found() -> u16 {
    RedirectAction::STATUS
}

impl RedirectAction {
    /// Without a status: a redirect that browsers do not remember.
    pub const STATUS: u16 = 302;
    /// 301 and 308 are permanent, 307 and 308 keep the method.
    pub const STATUSES: [u16; 4] = [301, 302, 307, 308];
}
