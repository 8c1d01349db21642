//! The objects that a command line selects: a kind and names. Pure.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ErrorDetail};
use coxswain::model::{ServiceName, nearest};

use crate::error::CliError;

/// A kind of object that `ctl get` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    Services,
    Replicas,
    Endpoints,
    Routes,
    Nodes,
    Volumes,
    Certificates,
    Revisions,
    Events,
}

const RESOURCE_KINDS: [ResourceKind; 9] = [
    ResourceKind::Services,
    ResourceKind::Replicas,
    ResourceKind::Endpoints,
    ResourceKind::Routes,
    ResourceKind::Nodes,
    ResourceKind::Volumes,
    ResourceKind::Certificates,
    ResourceKind::Revisions,
    ResourceKind::Events,
];

/// A kind and names of its objects; no names select all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectSelection {
    pub(crate) kind: ResourceKind,
    pub(crate) names: Vec<String>,
}

impl ResourceKind {
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Replicas => "replicas",
            Self::Endpoints => "endpoints",
            Self::Routes => "routes",
            Self::Nodes => "nodes",
            Self::Volumes => "volumes",
            Self::Certificates => "certificates",
            Self::Revisions => "revisions",
            Self::Events => "events",
        }
    }

    /// Accepts plural and singular.
    fn parse(text: &str) -> Option<Self> {
        RESOURCE_KINDS.into_iter().find(|kind| text == kind.plural() || text == kind.singular())
    }

    fn singular(self) -> &'static str {
        let plural = self.plural();
        plural.strip_suffix('s').unwrap_or(plural)
    }
}

impl ObjectSelection {
    /// `[KIND] [NAME…]` or `KIND/NAME…`. A first word that is not a kind is the name of a service.
    pub(crate) fn parse(words: &[String]) -> Result<Self, CliError> {
        let (kind, rest) = match words.split_first() {
            None => (ResourceKind::Services, words),
            Some((first, rest)) => match ResourceKind::parse(first) {
                Some(kind) => (kind, rest),
                None => (
                    first
                        .split_once('/')
                        .and_then(|(kind, _)| ResourceKind::parse(kind))
                        .unwrap_or(ResourceKind::Services),
                    words,
                ),
            },
        };
        let names = rest.iter().map(|word| match word.split_once('/') {
            // Names of routes contain slashes, as in `shop.acme.dev/users`.
            Some((of, name)) if ResourceKind::parse(of) == Some(kind) => Ok(name.to_owned()),
            Some((of, _)) if ResourceKind::parse(of).is_some() => Err(CliError::of(
                &codes::USAGE,
                format!("`{word}` is not one of the {}; give one kind at a time", kind.plural()),
            )),
            _ => Ok(word.clone()),
        });
        Ok(Self { kind, names: names.collect::<Result<_, _>>()? })
    }

    /// The selected objects; an unknown name is an error that suggests the nearest one.
    pub(crate) fn select<T>(
        &self,
        items: Vec<T>,
        names_of: impl Fn(&T) -> Vec<&str>,
    ) -> Result<Vec<T>, CliError> {
        let mut unknown = Vec::new();
        for name in &self.names {
            if !items.iter().any(|item| names_of(item).contains(&name.as_str())) {
                let all = items.iter().flat_map(&names_of);
                unknown.push((name, nearest(name, all)));
            }
        }
        if unknown.is_empty() {
            return Ok(self.filter(items, names_of));
        }
        let kind = self.kind.singular();
        let errors = unknown.into_iter().map(|(name, near)| {
            // `ctl get replcas` names a service, but means a kind.
            let kinds = RESOURCE_KINDS.into_iter().map(ResourceKind::plural);
            let meant = nearest(name, kinds).filter(|_| near.is_none()).unwrap_or(self.kind.plural());
            ApiError::from(ErrorDetail {
                why: near.map(|near| format!("did you mean `{near}`?")).into_iter().collect(),
                next: vec![format!("ctl get {meant}")],
                ..codes::NOT_FOUND.detail(format!("no {kind} named `{name}`"))
            })
        });
        Err(CliError::Failed(errors.collect()))
    }

    /// The selected objects; unknown names are ignored.
    pub(crate) fn filter<T>(&self, items: Vec<T>, names_of: impl Fn(&T) -> Vec<&str>) -> Vec<T> {
        let named = |item: &T| names_of(item).into_iter().any(|name| self.names.iter().any(|n| n == name));
        items.into_iter().filter(|item| self.names.is_empty() || named(item)).collect()
    }

    /// Events can be listed for one service or for all.
    pub(crate) fn at_most_one(&self) -> Result<Option<ServiceName>, CliError> {
        match self.names.as_slice() {
            [] => Ok(None),
            [name] => Ok(Some(ServiceName::new(name))),
            _ => {
                let kind = self.kind.plural();
                Err(CliError::of(&codes::USAGE, format!("{kind} can be listed for one service or for all")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<(ResourceKind, Vec<String>)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        ObjectSelection::parse(&words).ok().map(|target| (target.kind, target.names))
    }

    #[test]
    fn selection_parses_kinds_and_names() {
        let target = |kind, names: &[&str]| Some((kind, names.iter().map(|n| (*n).to_owned()).collect()));
        assert_eq!(parse(&[]), target(ResourceKind::Services, &[]));
        assert_eq!(parse(&["replicas"]), target(ResourceKind::Replicas, &[]));
        assert_eq!(parse(&["replica", "users"]), target(ResourceKind::Replicas, &["users"]));
        assert_eq!(parse(&["users", "service/web"]), target(ResourceKind::Services, &["users", "web"]));
        assert_eq!(parse(&["service/status"]), target(ResourceKind::Services, &["status"]));
        assert_eq!(parse(&["replica/users-9-a"]), target(ResourceKind::Replicas, &["users-9-a"]));
        assert_eq!(parse(&["users", "replica/users-9-a"]), None);
    }
}
