//! What users declare, as objects with a kind and a name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "testing"))]
use super::GadgetSpec;
use super::{EnvField, EnvValue, Problem, Pull, ServiceName, ServiceSpec, check_service};

/// The kinds of objects that a manifest may declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// Identical replicas of an image.
    Service,
    /// A kind of the tests; see [`GadgetSpec`].
    #[cfg(any(test, feature = "testing"))]
    Gadget,
}

impl ObjectKind {
    /// Every kind, in the order in which objects are listed.
    pub const ALL: &[Self] = &[
        Self::Service,
        #[cfg(any(test, feature = "testing"))]
        Self::Gadget,
    ];

    /// The word before the slash of an address, `service/users`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget => "gadget",
        }
    }
}

/// The `kind` of a manifest.
impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Service => "Service",
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget => "Gadget",
        })
    }
}

/// The address of an object: `service/users`. Its text form is what the store keeps and what `ctl` takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectRef {
    pub kind: ObjectKind,
    /// The name, unique within the kind.
    pub name: String,
}

/// The text is not `kind/name` with a known kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of an object, such as service/users")]
pub struct ObjectRefError(String);

impl ObjectRef {
    /// The name as that of a service; `None` for another kind.
    pub fn service_name(&self) -> Option<ServiceName> {
        (self.kind == ObjectKind::Service).then(|| ServiceName::new(&self.name))
    }

    /// `service users`, for a sentence.
    pub fn phrase(&self) -> String {
        format!("{} {}", self.kind.word(), self.name)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

impl FromStr for ObjectRef {
    type Err = ObjectRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ObjectRefError(text.to_owned());
        let (word, name) = text.split_once('/').ok_or_else(invalid)?;
        let kind = *ObjectKind::ALL.iter().find(|kind| kind.word() == word).ok_or_else(invalid)?;
        if name.is_empty() {
            return Err(invalid());
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl TryFrom<String> for ObjectRef {
    type Error = ObjectRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ObjectRef> for String {
    fn from(object: ObjectRef) -> Self {
        object.to_string()
    }
}

impl From<&ServiceName> for ObjectRef {
    fn from(name: &ServiceName) -> Self {
        Self { kind: ObjectKind::Service, name: name.as_str().to_owned() }
    }
}

/// What a manifest asks of an object. A new kind is a variant here, and its rules in the methods below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "spec", rename_all = "camelCase")]
#[allow(clippy::large_enum_variant)] // the small variant exists in tests only
pub enum ObjectSpec {
    /// Of a [`ObjectKind::Service`].
    Service(ServiceSpec),
    /// Of a [`ObjectKind::Gadget`].
    #[cfg(any(test, feature = "testing"))]
    Gadget(GadgetSpec),
}

/// What only one object may have: a host and path, or a TCP port of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficClaim {
    /// `shop.localhost/api` or `tcp:5432`; the store keeps it under `claims/`.
    pub claim: String,
    /// The field that asks for it: `spec.route[0]`.
    pub path: String,
}

impl ObjectSpec {
    /// The kind of the object.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Service(_) => ObjectKind::Service,
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(_) => ObjectKind::Gadget,
        }
    }

    /// The routes and ports of the node that the object claims.
    pub fn claims(&self) -> Vec<TrafficClaim> {
        let routes = match self {
            Self::Service(spec) => &spec.routes,
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(spec) => &spec.routes,
        };
        let claim = |(i, route): (usize, &super::Route)| TrafficClaim {
            claim: route.claim(),
            path: format!("spec.route[{i}]"),
        };
        let ports = self.as_service().map(|spec| spec.ports.as_slice()).unwrap_or_default();
        let of_port = |(i, port): (usize, &super::Port)| {
            Some(TrafficClaim { claim: port.listen?.claim(), path: format!("spec.ports[{i}].listen") })
        };
        routes.iter().enumerate().map(claim).chain(ports.iter().enumerate().filter_map(of_port)).collect()
    }

    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Service(spec) => check_service(spec),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(_) => Vec::new(),
        }
    }

    /// Whether its containers need the balancer's address.
    pub fn asks_for_balancer_url(&self) -> bool {
        let url = EnvValue::Field { field: EnvField::BalancerUrl };
        self.as_service().is_some_and(|spec| spec.env.values().any(|value| *value == url))
    }

    /// The image that its containers are made from, where it has containers, and when that is pulled.
    pub fn image(&self) -> Option<(&str, Pull)> {
        self.as_service().map(|spec| (spec.image.as_str(), spec.pull))
    }

    /// The spec of a service.
    pub fn as_service(&self) -> Option<&ServiceSpec> {
        match self {
            Self::Service(spec) => Some(spec),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(_) => None,
        }
    }
}

impl From<ServiceSpec> for ObjectSpec {
    fn from(spec: ServiceSpec) -> Self {
        Self::Service(spec)
    }
}

/// Two objects of one run that claim the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimConflict {
    pub claim: String,
    /// Index of the object that claims it first, and the field.
    pub first: (usize, String),
    /// Index of the later one, and the field.
    pub second: (usize, String),
}

/// The rule that a host and path, or a port, has one owner, over the objects of a run. An object that claims it twice is a problem of
/// that object alone.
pub fn claim_conflicts<'a>(
    objects: impl IntoIterator<Item = (ObjectRef, &'a ObjectSpec)>,
) -> Vec<ClaimConflict> {
    let mut owners: BTreeMap<String, (usize, ObjectRef, String)> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, (object, spec)) in objects.into_iter().enumerate() {
        for TrafficClaim { claim, path } in spec.claims() {
            match owners.get(&claim) {
                Some((first, owner, at)) if *owner != object => {
                    found.push(ClaimConflict { claim, first: (*first, at.clone()), second: (index, path) });
                }
                Some(_) => {}
                None => {
                    owners.insert(claim, (index, object.clone(), path));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ref_parses_what_it_displays() {
        let users: ObjectRef = "service/users".parse().unwrap();
        assert_eq!(users, ObjectRef::from(&"users".into()));
        assert_eq!(users.to_string(), "service/users");
        assert_eq!(users.service_name(), Some("users".into()));
        let gadget: ObjectRef = "gadget/users".parse().unwrap();
        assert_eq!(gadget.service_name(), None);
        assert_eq!((gadget.kind, gadget.to_string().as_str()), (ObjectKind::Gadget, "gadget/users"));
        for text in ["users", "service/", "widget/users", "/users", ""] {
            assert!(text.parse::<ObjectRef>().is_err(), "{text}");
        }
    }
}
