//! A route of a service. Pure.

use serde::{Deserialize, Serialize};

use super::Millis;

/// A host and path that lead to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Host name in lower case; `None` means any host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path prefix, matched on whole segments; starts with `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// Name of the port; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// From the request's last byte to the response's headers.
    #[serde(default = "default_route_timeout")]
    pub timeout: Millis,
    /// Whether the prefix is taken off before the request is forwarded.
    #[serde(default)]
    pub strip_prefix: bool,
    /// How long a request waits for a replica while none is ready and some are wanted; 0: not at all.
    #[serde(default = "default_hold")]
    pub hold: Millis,
    /// The longest pause of a client that reads a response.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Millis,
    /// The longest pause of a client that sends a body.
    #[serde(default = "default_upload_timeout")]
    pub upload_timeout: Millis,
}

fn root_path() -> String {
    "/".to_owned()
}

const fn default_route_timeout() -> Millis {
    Millis::secs(30)
}

/// A replica that replaces one that had to stop first is there within seconds, after a restart of Docker within half a minute.
const fn default_hold() -> Millis {
    Millis::secs(30)
}

/// A player reads nothing while a film is paused.
const fn default_idle_timeout() -> Millis {
    Millis::secs(3600)
}

/// No program pauses an upload; a phone in a tunnel does.
const fn default_upload_timeout() -> Millis {
    Millis::secs(60)
}

impl Route {
    /// The longest `hold`: clients and the proxies before them wait no longer.
    pub const HOLD_MAX: Millis = Millis::secs(300);

    /// Any request of this host (or of any) under this path, with default settings.
    pub fn to(host: Option<String>, path: impl Into<String>) -> Self {
        Self {
            host,
            path: path.into(),
            port: None,
            timeout: default_route_timeout(),
            strip_prefix: false,
            hold: default_hold(),
            idle_timeout: default_idle_timeout(),
            upload_timeout: default_upload_timeout(),
        }
    }

    /// `host/path`; `*` is any host. The claim key's text and what messages show.
    pub fn claim(&self) -> String {
        format!("{}{}", self.host.as_deref().unwrap_or("*"), self.path)
    }
}
