//! What users declare, as objects with a kind and a name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "testing"))]
use super::GadgetSpec;
use super::{EnvField, EnvValue, Problem, Pull, Route, ServiceName, ServiceSpec, check_service};

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
    /// What it is a claim of, but for a port.
    pub route: Option<Route>,
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
        let claim = |(i, route): (usize, &Route)| TrafficClaim {
            claim: route.claim(),
            path: format!("spec.route[{i}]"),
            route: Some(route.clone()),
        };
        let ports = self.as_service().map(|spec| spec.ports.as_slice()).unwrap_or_default();
        let of_port = |(i, port): (usize, &super::Port)| {
            let claim = port.listen?.claim();
            Some(TrafficClaim { claim, path: format!("spec.ports[{i}].listen"), route: None })
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

impl TrafficClaim {
    /// Whether both are routes that the same request can match, and neither is more specific.
    pub fn is_ambiguous_with(&self, other: &Self) -> bool {
        self.route
            .as_ref()
            .zip(other.route.as_ref())
            .is_some_and(|(route, other)| route.is_ambiguous_with(other))
    }
}

/// Two objects of one run that claim the same, or routes that a request cannot tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimConflict {
    /// Of the later object.
    pub claim: String,
    /// Of the first one: the same, unless a request can match both.
    pub held: String,
    /// Index of the object that claims it first, and the field.
    pub first: (usize, String),
    /// Index of the later one, and the field.
    pub second: (usize, String),
}

/// The rule that a route or a port has one owner, over the objects of a run. An object that claims it twice is a problem of
/// that object alone.
pub fn claim_conflicts<'a>(
    objects: impl IntoIterator<Item = (ObjectRef, &'a ObjectSpec)>,
) -> Vec<ClaimConflict> {
    let mut owners: BTreeMap<String, Vec<(usize, ObjectRef, TrafficClaim)>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, (object, spec)) in objects.into_iter().enumerate() {
        for claim in spec.claims() {
            let place = claim.route.as_ref().map_or_else(|| claim.claim.clone(), Route::place);
            let owners = owners.entry(place).or_default();
            let rival = owners.iter().find(|(_, owner, held)| {
                *owner != object && (held.claim == claim.claim || held.is_ambiguous_with(&claim))
            });
            match rival {
                Some((first, _, held)) => found.push(ClaimConflict {
                    claim: claim.claim,
                    held: held.claim.clone(),
                    first: (*first, held.path.clone()),
                    second: (index, claim.path),
                }),
                None => owners.push((index, object.clone(), claim)),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_equal_claims_and_routes_that_a_request_cannot_tell_apart() {
        let spec = |routes: serde_json::Value| {
            let spec = serde_json::json!({"kind": "gadget", "spec": {"routes": routes}});
            serde_json::from_value::<ObjectSpec>(spec).unwrap()
        };
        let specs = [
            spec(serde_json::json!([{"host": "a"}, {"host": "a", "match": {"header": {"x": "1"}}}])),
            spec(serde_json::json!([{"host": "a", "match": {"header": {"x": "2"}}}])),
            spec(serde_json::json!([{"host": "a", "match": {"cookie": {"y": "1"}}}, {"host": "a"}])),
        ];
        let objects = specs
            .iter()
            .zip(["one", "two", "three"])
            .map(|(spec, name)| (ObjectRef { kind: ObjectKind::Gadget, name: name.to_owned() }, spec));
        let found: Vec<_> = claim_conflicts(objects)
            .into_iter()
            .map(|conflict| (conflict.held, conflict.first.0, conflict.claim, conflict.second.0))
            .collect();
        let first = "a/ header.x=\"1\"".to_owned();
        assert_eq!(found, [(first, 0, "a/ cookie.y=\"1\"".into(), 2), ("a/".into(), 0, "a/".into(), 2)]);
    }

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
