//! From a refusal of the controller to the error that the user reads.

mod steering;

use super::codes::{self, Code};
use super::types::ApiError;
use crate::controller::{AgentSilent, EngineError, Refused, Shortage, UnresolvedImage};
use crate::model::{RevisionNumber, ServiceName};

/// What is said of how things stand after a request that was refused before any write.
const NOTHING_CHANGED: &str = "nothing was changed";

/// The error for a refusal.
pub(crate) fn error_of(refused: Refused) -> ApiError {
    let unchanged = |error: ApiError| ApiError { now: Some(NOTHING_CHANGED.to_owned()), ..error };
    match refused {
        Refused::Invalid(problems) => {
            let what = codes::INVALID_MANIFEST.title;
            unchanged(ApiError { problems, ..codes::INVALID_MANIFEST.error(what) })
        }
        Refused::BadValue(message) => unchanged(codes::USAGE.error(message)),
        Refused::NotFound(names) => not_found(&names),
        Refused::NoReplica(name) => ApiError {
            next: vec!["ctl get replicas".to_owned()],
            ..codes::NOT_FOUND.error(format!("there is no replica named {name}"))
        },
        Refused::NoListener(origins) => {
            let what = "no HTTP listener of the balancer covers the gateways of the apps' networks";
            let line = |origin: &String| format!("{origin} asks for `balancer.url`");
            let why = origins.iter().map(line).collect();
            let next = vec!["ctl serve --http 0.0.0.0:8080".to_owned()];
            unchanged(ApiError { why, next, ..codes::INVALID_MANIFEST.error(what) })
        }
        Refused::Images(images) => unchanged(unresolved(&images)),
        Refused::NoMemory(short) => unchanged(no_memory(&short)),
        Refused::RouteClaimed { route, service, origin, holder } => {
            let why = vec![
                format!("service {holder} holds {route}"),
                format!("service {service} asks for it in {origin}"),
            ];
            let what = format!("{route} is claimed by both {holder} and {service}");
            let next = vec![format!("ctl get {holder} -o yaml")];
            unchanged(ApiError { why, next, ..codes::ROUTE_TAKEN.error(what) })
        }
        Refused::OtherApp { name, there, here } => {
            let why = vec![format!("the manifest says app {here}; a service cannot change its app")];
            let what = format!("service {name} belongs to app {there}");
            unchanged(ApiError { why, ..codes::OTHER_OWNER.error(what) })
        }
        Refused::BeingDeleted(name) => {
            let next = vec![format!("ctl wait {name} --for deleted")];
            let what = format!("service {name} is being deleted");
            unchanged(ApiError { next, ..codes::CHANGED_MEANWHILE.error(what) })
        }
        Refused::ChangedMeanwhile { name, read, found, by, written } => {
            let now = match written.as_slice() {
                [] => NOTHING_CHANGED.to_owned(),
                written => format!("written before it: {}", joined(written)),
            };
            let what = format!("service {name} was changed by someone else meanwhile");
            let why = vec![
                format!("this command started from generation {read} of {name}"),
                format!("{} wrote generation {found}", by.told()),
            ];
            ApiError {
                why,
                now: Some(now),
                next: vec![format!("ctl get {name}")],
                ..codes::CHANGED_MEANWHILE.error(what)
            }
        }
        Refused::ImageGone { revision, image, gone } => {
            let name = &gone.service;
            let what = format!("the image of revision {revision} of {name} is gone");
            let why = vec![format!("{} @ {}: {}", image.reference, image.short(), gone.why)];
            unchanged(ApiError {
                why,
                next: vec![format!("ctl history {name}")],
                ..codes::IMAGE_GONE.error(what)
            })
        }
        Refused::NotNow { name, asked, standing, stable } => {
            unchanged(steering::error(&name, asked, &standing, stable))
        }
        Refused::NoRevision { name, wanted, kept } => unchanged(no_revision(&name, wanted, &kept)),
        Refused::Engine(error) => engine(&error),
        Refused::Agent(error) => silent(error),
        Refused::Store(error) => {
            ApiError { next: vec!["ctl status".to_owned()], ..codes::STORE_FAILED.error(error.to_string()) }
        }
    }
}

fn joined(names: &[ServiceName]) -> String {
    names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ")
}

fn not_found(names: &[ServiceName]) -> ApiError {
    let what = match names {
        [name] => format!("there is no service named {name}"),
        names => format!("there are no services named {}", joined(names)),
    };
    ApiError { next: vec!["ctl get services".to_owned()], ..codes::NOT_FOUND.error(what) }
}

fn unresolved(images: &[UnresolvedImage]) -> ApiError {
    let what = match images {
        [image] => format!("image {} of service {} cannot be resolved", image.reference, image.service),
        images => format!("{} images cannot be resolved", images.len()),
    };
    // Where it is one, the first line has named it.
    let line = |i: &UnresolvedImage| match images {
        [_] => format!("{}: {}", i.origin, i.why),
        _ => format!("{} ({}): {}: {}", i.service, i.origin, i.reference, i.why),
    };
    ApiError { why: images.iter().map(line).collect(), ..codes::IMAGE_UNRESOLVED.error(what) }
}

fn no_memory(short: &[Shortage]) -> ApiError {
    let why = short.iter().map(ToString::to_string).collect();
    let next = vec!["ctl get".to_owned()];
    ApiError { why, next, ..codes::CANNOT_PLACE.error("no host has the memory for this") }
}

fn no_revision(name: &ServiceName, wanted: Option<RevisionNumber>, kept: &[RevisionNumber]) -> ApiError {
    let what = match wanted {
        Some(number) => format!("service {name} has no revision {number}"),
        None => format!("service {name} has no earlier revision to go back to"),
    };
    let numbers = kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why =
        vec![if kept.is_empty() { "no revision is kept yet".to_owned() } else { format!("kept: {numbers}") }];
    ApiError { why, next: vec![format!("ctl history {name}")], ..codes::NOT_FOUND.error(what) }
}

fn silent(error: AgentSilent) -> ApiError {
    ApiError {
        now: Some("what was asked may yet happen".to_owned()),
        next: vec!["ctl status".to_owned()],
        ..codes::DAEMON_SILENT.error(error.to_string())
    }
}

fn engine(error: &EngineError) -> ApiError {
    let code: Code = match error {
        EngineError::Missing { .. } => codes::DOCKER_MISSING,
        EngineError::Denied { .. } => codes::DOCKER_DENIED,
        away if away.is_away() => codes::DOCKER_STOPPED,
        _ => codes::DOCKER_REFUSED,
    };
    ApiError {
        now: Some(NOTHING_CHANGED.to_owned()),
        next: vec!["ctl status".to_owned()],
        ..code.error(error.to_string())
    }
}
