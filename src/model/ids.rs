//! Names and numbers as types, so that a service's name is never passed where a replica's is wanted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Longest name of a Service, Route or app: leaves room for `-<revision>-<suffix>` within a DNS label (63).
pub(crate) const NAME_MAX: usize = 40;

/// Longest id of a listener: a DNS label.
const LISTENER_ID_MAX: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name has {length} characters; at most {max} are allowed")]
    TooLong { max: usize, length: usize },
    /// Not a DNS label (RFC 1123): lower-case letters, digits and inner hyphens.
    #[error("invalid name `{0}`: use lower-case letters, digits and hyphens (not first or last)")]
    Invalid(String),
}

fn check_label(text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > max {
        return Err(NameError::TooLong { max, length: text.chars().count() });
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.chars().all(inner) || text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Invalid(text.to_owned()));
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text unchecked; `parse` checks names that users write.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

text_id!(
    /// Name of a Service: a DNS label of at most 40 characters, unique in a store.
    ServiceName
);
text_id!(
    /// Name of an app: groups objects; scope of network and `delete -a`.
    AppName
);
text_id!(
    /// Name of a Replica, `service-revision-suffix`; never reused.
    ReplicaName
);
text_id!(
    /// Id of a node: the Docker Engine's own id.
    NodeId
);
text_id!(
    /// Id of a balancer process: its supervisor makes one for each before it starts it.
    BalancerId
);
text_id!(
    /// Docker's id of a container (64 hex digits).
    ContainerId
);
text_id!(
    /// Id of a listener, unique in a routing table: `http` is the public one.
    ListenerId
);
text_id!(
    /// UUID of a store, made once when the store is created.
    StoreId
);
text_id!(
    /// What makes two replicas the same: see [`Template`](super::Template).
    TemplateHash
);

number_id!(
    /// Number of a Revision; counts up from 1 per service.
    RevisionNumber
);
number_id!(
    /// Counts the user's writes to one Service.
    Generation
);
number_id!(
    /// Raised durably at every open of the store: distinguishes the tables of two runs.
    Epoch
);

impl ListenerId {
    /// The public listener for HTTP.
    pub fn public_http() -> Self {
        Self::new("http")
    }

    /// The public listener for HTTPS.
    pub fn public_https() -> Self {
        Self::new("https")
    }

    /// The listener for TCP on an address: `tcp-5432`, with an address other than `0.0.0.0` also that.
    pub fn tcp(address: SocketAddr) -> Self {
        let port = address.port();
        Self::new(match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => format!("tcp-{port}"),
            IpAddr::V4(ip) => format!("tcp-{port}-{}", ip.to_string().replace('.', "-")),
            IpAddr::V6(ip) => {
                format!("tcp-{port}-{}", ip.segments().map(|part| format!("{part:04x}")).join("-"))
            }
        })
    }

    /// Checks that the text is a DNS label, long enough for `gateway-` and the name of an app.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_label(text, LISTENER_ID_MAX).map(|()| Self::new(text))
    }
}

impl ServiceName {
    /// Checks that the text is a DNS label of at most 40 characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_label(text, NAME_MAX).map(|()| Self::new(text))
    }
}

impl AppName {
    /// Checks that the text is a DNS label of at most 40 characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_label(text, NAME_MAX).map(|()| Self::new(text))
    }
}

impl Default for AppName {
    fn default() -> Self {
        Self::new("default")
    }
}

impl ReplicaName {
    /// `users-9-a` for the first replica issued of revision 9, then `-b` … `-z`, `-aa` …
    pub fn of(service: &ServiceName, revision: RevisionNumber, issued: u32) -> Self {
        Self(format!("{service}-{revision}-{}", letters(issued)))
    }

    /// Name of the container of an attempt (1 = first): the replica's own, then `.2`, `.3` …
    pub fn container_name(&self, attempt: u32) -> String {
        if attempt <= 1 { self.0.clone() } else { format!("{}.{attempt}", self.0) }
    }
}

impl ContainerId {
    /// First 12 digits, as Docker shows them.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// 0 → a, 25 → z, 26 → aa: a bijective base 26 number.
fn letters(mut n: u32) -> String {
    let mut text = Vec::new();
    loop {
        text.push(b'a' + u8::try_from(n % 26).unwrap_or(0));
        if n < 26 {
            break;
        }
        n = n / 26 - 1;
    }
    text.iter().rev().map(|b| char::from(*b)).collect()
}

impl StoreId {
    /// Its first 8 characters: what the names of networks, volumes and tags end with.
    pub fn short(&self) -> &str {
        self.as_str().get(..8).unwrap_or(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_name_must_be_a_dns_label() {
        for good in ["a", "users", "a-b-2", &"x".repeat(40)] {
            assert!(ServiceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ü", &"x".repeat(41)] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replica_name_counts_in_letters() {
        let name = |n| ReplicaName::of(&"users".into(), RevisionNumber(9), n).to_string();
        assert_eq!(name(0), "users-9-a");
        assert_eq!(name(25), "users-9-z");
        assert_eq!(name(26), "users-9-aa");
        assert_eq!(name(27), "users-9-ab");
        assert_eq!(name(26 + 26 * 26), "users-9-aaa");
    }

    #[test]
    fn container_name_numbers_later_attempts() {
        let replica = ReplicaName::new("users-9-a");
        assert_eq!(replica.container_name(1), "users-9-a");
        assert_eq!(replica.container_name(3), "users-9-a.3");
    }
}
