//! Turns a controller error into the error that the user reads.

mod rollout_command;

use std::collections::BTreeSet;

use super::codes::{self, Code};
use super::types::ApiError;
use crate::controller::{
    AgentSilent, CapacityShortage, Conflict, ControllerError, EngineError, Overridden, UnresolvedImage,
};
use crate::model::{AppName, Author, ExposureMode, ObjectRef, RevisionNumber, ServiceName};

/// For requests that were rejected before any write.
const NOTHING_CHANGED: &str = "nothing was changed";

/// The API error for a controller error.
pub(crate) fn error_of(refused: ControllerError) -> ApiError {
    let unchanged = |error: ApiError| ApiError { now: Some(NOTHING_CHANGED.to_owned()), ..error };
    match refused {
        ControllerError::Invalid(problems) => {
            let what = codes::INVALID_MANIFEST.title;
            unchanged(ApiError { problems, ..codes::INVALID_MANIFEST.error(what) })
        }
        ControllerError::BadValue(message) => unchanged(codes::USAGE.error(message)),
        ControllerError::NotFound(names) => not_found(&names),
        ControllerError::NoReplica(name) => ApiError {
            next: vec!["ctl get replicas".to_owned()],
            ..codes::NOT_FOUND.error(format!("no replica named {name}"))
        },
        ControllerError::BalancerUnknown { origins, exposure } => {
            unchanged(balancer_unknown(&origins, exposure))
        }
        ControllerError::Images(images) => unchanged(unresolved(&images)),
        ControllerError::NoMemory(short) => unchanged(no_memory(&short)),
        ControllerError::RouteClaimed { route, object, origin, holder } => {
            unchanged(route_claimed(&route, &object, &origin, &holder))
        }
        ControllerError::Overridden { conflicts, by } => unchanged(overridden(&conflicts, &by)),
        ControllerError::OtherApp { object, there, here } => unchanged(other_app(&object, &there, &here)),
        ControllerError::VolumeShared { volume, service, by } => {
            unchanged(volume_shared(&volume, &service, &by))
        }
        refused @ ControllerError::OtherSource { .. } => {
            let why = vec!["only the source that declares an object can change or delete it".to_owned()];
            unchanged(ApiError { why, ..codes::OTHER_OWNER.error(refused.to_string()) })
        }
        ControllerError::BeingDeleted(object) => {
            let what = format!("{} is being deleted", object.phrase());
            let next = vec![format!("ctl wait {} --for deleted", object.name)];
            unchanged(ApiError { next, ..codes::CHANGED_MEANWHILE.error(what) })
        }
        ControllerError::ChangedMeanwhile { object, read, found, by, written } => {
            let name = &object.name;
            let now = match written.as_slice() {
                [] => NOTHING_CHANGED.to_owned(),
                written => format!("already written: {}", joined(written)),
            };
            let what = format!("{} was changed by someone else", object.phrase());
            let why = vec![
                format!("this command is based on generation {read} of {name}"),
                format!("{} wrote generation {found}", by.summary()),
            ];
            ApiError {
                why,
                now: Some(now),
                next: vec![format!("ctl get {name}")],
                ..codes::CHANGED_MEANWHILE.error(what)
            }
        }
        ControllerError::ImageGone { revision, gone } => unchanged(image_gone(revision, &gone)),
        ControllerError::NotNow { name, rejection } => unchanged(rollout_command::error(&name, &rejection)),
        ControllerError::Fields(error) => unchanged(codes::STORE_FAILED.error(error.to_string())),
        ControllerError::NoRevision { name, wanted, kept } => unchanged(no_revision(&name, wanted, &kept)),
        ControllerError::Engine(error) => engine(&error),
        ControllerError::Agent(error) => silent(error),
        ControllerError::Store(error) => {
            ApiError { next: vec!["ctl status".to_owned()], ..codes::STORE_FAILED.error(error.to_string()) }
        }
    }
}

fn balancer_unknown(origins: &[String], exposure: ExposureMode) -> ApiError {
    let (what, next) = match exposure {
        ExposureMode::Bridge => (
            "no HTTP listener of the balancer is reachable at the gateways of the app networks",
            "ctl serve --http 0.0.0.0:8080",
        ),
        ExposureMode::Published => (
            "the address at which containers reach the balancer is unknown: the gateway of their network is not this machine",
            "ctl serve --balancer-host ADDRESS",
        ),
    };
    let why = origins.iter().map(|origin| format!("{origin} uses `balancer.url`")).collect();
    let next = vec![next.to_owned()];
    ApiError { why, next, ..codes::INVALID_MANIFEST.error(what) }
}

fn route_claimed(route: &str, object: &ObjectRef, origin: &str, holder: &ObjectRef) -> ApiError {
    let why = vec![
        format!("{} {} has {route}", holder.kind.word(), holder.name),
        format!("{} {} declares it in {origin}", object.kind.word(), object.name),
    ];
    let next = vec![format!("ctl get {} -o yaml", holder.name)];
    ApiError {
        why,
        next,
        ..codes::ROUTE_TAKEN.error(format!("{route} is claimed by both {} and {}", holder.name, object.name))
    }
}

fn image_gone(revision: RevisionNumber, gone: &UnresolvedImage) -> ApiError {
    let name = &gone.object.name;
    let what = format!("the image of revision {revision} of {name} no longer exists");
    let why = vec![format!("{}: {}", gone.reference, gone.why)];
    ApiError { why, next: vec![format!("ctl history {name}")], ..codes::IMAGE_GONE.error(what) }
}

fn other_app(object: &ObjectRef, there: &AppName, here: &AppName) -> ApiError {
    let why = vec![format!("the manifest says app {here}; a service cannot change its app")];
    ApiError { why, ..codes::OTHER_OWNER.error(format!("{} belongs to app {there}", object.phrase())) }
}

fn volume_shared(volume: &str, service: &ServiceName, by: &ServiceName) -> ApiError {
    let why = vec![format!("service {by} uses it too")];
    let next = vec![format!("ctl delete {service}")];
    let what = format!("volume {volume} cannot be deleted with {service}");
    ApiError { why, next, ..codes::VOLUME_SHARED.error(what) }
}

fn joined(objects: &[ObjectRef]) -> String {
    objects.iter().map(|object| object.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn not_found(objects: &[ObjectRef]) -> ApiError {
    let kind = objects.first().map_or("object", |object| object.kind.word());
    let what = match objects {
        [object] => format!("no {kind} named {}", object.name),
        objects => format!("no {kind}s named {}", joined(objects)),
    };
    ApiError { next: vec!["ctl get services".to_owned()], ..codes::NOT_FOUND.error(what) }
}

/// Names each field with both values, and the command with either flag for all fields.
fn overridden(conflicts: &[Conflict], by: &Author) -> ApiError {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let line = |conflict: &Conflict| {
        let Overridden { field, file, applied, live, by, at } = &conflict.over;
        let (file, applied, live) = (value(file), value(applied), value(live));
        let Conflict { object, origin, .. } = conflict;
        let name = &object.name;
        format!(
            "{name}: live value of {field} is {live}, set by {} at {at:.0}; {origin} says {file}, and said {applied} before",
            by.summary()
        )
    };
    let what = match conflicts {
        [one] => {
            format!("{} of {} was changed both live and in the manifest", one.over.field, one.object.name)
        }
        all => format!("{} fields were changed both live and in the manifests", all.len()),
    };
    let fields: BTreeSet<&str> = conflicts.iter().map(|conflict| conflict.over.field.as_str()).collect();
    let again = |flag: &str| {
        let flags: Vec<String> = fields.iter().map(|field| format!("{flag} {field}")).collect();
        format!("ctl {} {}", by.command, flags.join(" "))
    };
    let next = vec![again("--keep"), again("--overwrite")];
    ApiError { why: conflicts.iter().map(line).collect(), next, ..codes::OVERRIDDEN.error(what) }
}

fn unresolved(images: &[UnresolvedImage]) -> ApiError {
    let what = match images {
        [image] => format!("cannot resolve image {} of service {}", image.reference, image.object.name),
        images => format!("cannot resolve {} images", images.len()),
    };
    // A single image is named by the first line already.
    let line = |i: &UnresolvedImage| match images {
        [_] => format!("{}: {}", i.origin, i.why),
        _ => format!("{} ({}): {}: {}", i.object.name, i.origin, i.reference, i.why),
    };
    ApiError { why: images.iter().map(line).collect(), ..codes::IMAGE_UNRESOLVED.error(what) }
}

fn no_memory(short: &[CapacityShortage]) -> ApiError {
    let why = short.iter().map(ToString::to_string).collect();
    let next = vec!["ctl get".to_owned()];
    ApiError { why, next, ..codes::CANNOT_PLACE.error("insufficient memory") }
}

fn no_revision(name: &ServiceName, wanted: Option<RevisionNumber>, kept: &[RevisionNumber]) -> ApiError {
    let what = match wanted {
        Some(number) => format!("service {name} has no revision {number}"),
        None => format!("service {name} has no earlier revision to roll back to"),
    };
    let numbers = kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why = vec![if kept.is_empty() {
        "no revisions yet".to_owned()
    } else {
        format!("revisions kept: {numbers}")
    }];
    ApiError { why, next: vec![format!("ctl history {name}")], ..codes::NOT_FOUND.error(what) }
}

fn silent(error: AgentSilent) -> ApiError {
    ApiError {
        now: Some("the request may still take effect".to_owned()),
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
