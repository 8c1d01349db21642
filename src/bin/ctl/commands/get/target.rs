//! Which objects `ctl get` is asked for. PURE.

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::model::nearest;

use crate::error::CliError;

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Kind {
    Services,
    Replicas,
    Endpoints,
    Routes,
    Nodes,
    Revisions,
    Events,
}

const KINDS: [Kind; 7] = [
    Kind::Services,
    Kind::Replicas,
    Kind::Endpoints,
    Kind::Routes,
    Kind::Nodes,
    Kind::Revisions,
    Kind::Events,
];

/// A kind, and the names that select among its objects; no names select all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Target {
    pub(in crate::commands) kind: Kind,
    pub(in crate::commands) names: Vec<String>,
}

impl Kind {
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Replicas => "replicas",
            Self::Endpoints => "endpoints",
            Self::Routes => "routes",
            Self::Nodes => "nodes",
            Self::Revisions => "revisions",
            Self::Events => "events",
        }
    }

    /// `services` or `service`.
    fn parse(text: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| text == kind.plural() || kind.plural().strip_suffix('s') == Some(text))
    }
}

impl Target {
    /// `[KIND] [NAME…]` or `KIND/NAME…`; a first word that is no kind is the name of a service.
    pub(super) fn parse(words: &[String]) -> Result<Self, CliError> {
        let (kind, rest) = match words.split_first() {
            None => (Kind::Services, words),
            Some((first, rest)) => match Kind::parse(first) {
                Some(kind) => (kind, rest),
                None => (
                    first.split_once('/').and_then(|(kind, _)| Kind::parse(kind)).unwrap_or(Kind::Services),
                    words,
                ),
            },
        };
        let names = rest.iter().map(|word| match word.split_once('/') {
            // The name of a route has slashes of its own, as in `shop.acme.dev/users`.
            Some((of, name)) if Kind::parse(of) == Some(kind) => Ok(name.to_owned()),
            Some((of, _)) if Kind::parse(of).is_some() => Err(CliError::of(
                &codes::USAGE,
                format!("`{word}` is not among the {}; one kind at a time", kind.plural()),
            )),
            _ => Ok(word.clone()),
        });
        Ok(Self { kind, names: names.collect::<Result<_, _>>()? })
    }

    /// The objects that are named; a name that none has is an error with the nearest one.
    pub(in crate::commands) fn select<T>(
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
        let kind = self.kind.plural();
        let errors = unknown.into_iter().map(|(name, near)| {
            // `ctl get replcas` asks for a service, but a kind was meant.
            let meant = KINDS.into_iter().map(Kind::plural);
            let meant = nearest(name, meant).filter(|_| near.is_none()).unwrap_or(kind);
            ApiError {
                why: near.map(|near| format!("the nearest is `{near}`")).into_iter().collect(),
                next: vec![format!("ctl get {meant}")],
                ..codes::NOT_FOUND.error(format!("`{name}` is not among the {kind}"))
            }
        });
        Err(CliError::Failed(errors.collect()))
    }

    /// The objects that are named, whether or not there are any.
    pub(super) fn filter<T>(&self, items: Vec<T>, names_of: impl Fn(&T) -> Vec<&str>) -> Vec<T> {
        let named = |item: &T| names_of(item).into_iter().any(|name| self.names.iter().any(|n| n == name));
        items.into_iter().filter(|item| self.names.is_empty() || named(item)).collect()
    }

    /// Events are asked for by one service.
    pub(super) fn one_only(&self) -> CliError {
        CliError::of(&codes::USAGE, format!("{} are shown of one service or of all", self.kind.plural()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<(Kind, Vec<String>)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Target::parse(&words).ok().map(|target| (target.kind, target.names))
    }

    #[test]
    fn kinds_and_names() {
        let target = |kind, names: &[&str]| Some((kind, names.iter().map(|n| (*n).to_owned()).collect()));
        assert_eq!(parse(&[]), target(Kind::Services, &[]));
        assert_eq!(parse(&["replicas"]), target(Kind::Replicas, &[]));
        assert_eq!(parse(&["replica", "users"]), target(Kind::Replicas, &["users"]));
        assert_eq!(parse(&["users", "service/web"]), target(Kind::Services, &["users", "web"]));
        assert_eq!(parse(&["service/status"]), target(Kind::Services, &["status"]));
        assert_eq!(parse(&["replica/users-9-a"]), target(Kind::Replicas, &["users-9-a"]));
        assert_eq!(parse(&["users", "replica/users-9-a"]), None);
    }
}
