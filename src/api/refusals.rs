//! Turns a controller error into the error that the user reads.

mod rollout_command;

use std::collections::BTreeSet;

use super::code::Code;
use super::codes;
use super::types::{ApiError, ErrorDetail};
use crate::controller::{
    AgentSilent, CapacityShortage, Conflict, ControllerError, EngineError, Overridden, UnresolvedImage,
};
use crate::model::{AppName, Author, ExposureMode, Generation, ObjectRef, RevisionNumber, ServiceName};

/// For requests that were rejected before any write.
const NOTHING_CHANGED: &str = "nothing was changed";

/// The API error for a controller error.
pub(crate) fn error_of(error: ControllerError) -> ApiError {
    detail_of(error).into()
}

/// An error of a request that changed nothing, unless a case says otherwise.
fn detail_of(error: ControllerError) -> ErrorDetail {
    let unchanged = |detail: ErrorDetail| ErrorDetail { now: Some(NOTHING_CHANGED.to_owned()), ..detail };
    match error {
        ControllerError::NotFound(names) => not_found(&names),
        ControllerError::NoReplica(name) => {
            let next = vec!["ctl get replicas".to_owned()];
            ErrorDetail { next, ..codes::NOT_FOUND.detail(format!("no replica named {name}")) }
        }
        ControllerError::ChangedMeanwhile { object, read, found, by, written } => {
            changed_meanwhile(&object, [read, found], &by, &written)
        }
        ControllerError::Engine(error) => engine(&error),
        ControllerError::Agent(error) => silent(error),
        ControllerError::Store(error) => {
            let next = vec!["ctl status".to_owned()];
            ErrorDetail { next, ..codes::STORE_FAILED.detail(error.to_string()) }
        }
        rejected => unchanged(rejected_request(rejected)),
    }
}

/// Requests that are invalid or not possible now.
fn rejected_request(error: ControllerError) -> ErrorDetail {
    match error {
        ControllerError::Invalid(problems) => {
            ErrorDetail { problems, ..codes::INVALID_MANIFEST.detail(codes::INVALID_MANIFEST.title) }
        }
        ControllerError::BadValue(message) => codes::USAGE.detail(message),
        ControllerError::BalancerUnknown { origins, exposure } => balancer_unknown(&origins, exposure),
        ControllerError::Images(images) => unresolved(&images),
        ControllerError::NoMemory(short) => no_memory(&short),
        ControllerError::RouteClaimed { route, object, origin, holder } => {
            route_claimed(&route, &object, &origin, &holder)
        }
        ControllerError::Overridden { conflicts, by } => overridden(&conflicts, &by),
        ControllerError::OtherApp { object, there, here } => other_app(&object, &there, &here),
        ControllerError::VolumeShared { volume, service, by } => volume_shared(&volume, &service, &by),
        other @ ControllerError::OtherSource { .. } => {
            let why = vec!["only the source that declares an object can change or delete it".to_owned()];
            ErrorDetail { why, ..codes::OTHER_OWNER.detail(other.to_string()) }
        }
        ControllerError::BeingDeleted(object) => {
            let what = format!("{} is being deleted", object.phrase());
            let next = vec![format!("ctl wait {} --for deleted", object.name)];
            ErrorDetail { next, ..codes::CHANGED_MEANWHILE.detail(what) }
        }
        ControllerError::ImageGone { revision, gone } => image_gone(revision, &gone),
        ControllerError::NotNow { name, rejection } => rollout_command::error(&name, &rejection),
        ControllerError::NoRevision { name, wanted, kept } => no_revision(&name, wanted, &kept),
        other @ (ControllerError::Fields(_)
        | ControllerError::NotFound(_)
        | ControllerError::NoReplica(_)
        | ControllerError::ChangedMeanwhile { .. }
        | ControllerError::Engine(_)
        | ControllerError::Agent(_)
        | ControllerError::Store(_)) => codes::STORE_FAILED.detail(other.to_string()),
    }
}

fn changed_meanwhile(
    object: &ObjectRef,
    [read, found]: [Generation; 2],
    by: &Author,
    written: &[ObjectRef],
) -> ErrorDetail {
    let name = &object.name;
    let now = match written {
        [] => NOTHING_CHANGED.to_owned(),
        written => format!("already written: {}", joined(written)),
    };
    let what = format!("{} was changed by someone else", object.phrase());
    let why = vec![
        format!("this command is based on generation {read} of {name}"),
        format!("{} wrote generation {found}", by.summary()),
    ];
    let next = vec![format!("ctl get {name}")];
    ErrorDetail { why, now: Some(now), next, ..codes::CHANGED_MEANWHILE.detail(what) }
}

fn balancer_unknown(origins: &[String], exposure: ExposureMode) -> ErrorDetail {
    let (what, next) = match exposure {
        ExposureMode::Bridge => (
            "no HTTP listener of the balancer is reachable at the gateways of the app networks",
            "ctl serve --http 0.0.0.0:8080",
        ),
        ExposureMode::Published => (
            "the address at which containers reach the balancer is unknown: the gateway of their network is not this node",
            "ctl serve --balancer-host ADDRESS",
        ),
    };
    let why = origins.iter().map(|origin| format!("{origin} uses `balancer.url`")).collect();
    let next = vec![next.to_owned()];
    ErrorDetail { why, next, ..codes::INVALID_MANIFEST.detail(what) }
}

fn route_claimed(route: &str, object: &ObjectRef, origin: &str, holder: &ObjectRef) -> ErrorDetail {
    let why = vec![
        format!("{} {} has {route}", holder.kind.word(), holder.name),
        format!("{} {} declares it in {origin}", object.kind.word(), object.name),
    ];
    let next = vec![format!("ctl get {} -o yaml", holder.name)];
    ErrorDetail {
        why,
        next,
        ..codes::ROUTE_TAKEN.detail(format!("{route} is claimed by both {} and {}", holder.name, object.name))
    }
}

fn image_gone(revision: RevisionNumber, gone: &UnresolvedImage) -> ErrorDetail {
    let name = &gone.object.name;
    let what = format!("the image of revision {revision} of {name} no longer exists");
    let why = vec![format!("{}: {}", gone.reference, gone.why)];
    ErrorDetail { why, next: vec![format!("ctl history {name}")], ..codes::IMAGE_GONE.detail(what) }
}

fn other_app(object: &ObjectRef, there: &AppName, here: &AppName) -> ErrorDetail {
    let why = vec![format!("the manifest says app {here}; a service cannot change its app")];
    ErrorDetail { why, ..codes::OTHER_OWNER.detail(format!("{} belongs to app {there}", object.phrase())) }
}

fn volume_shared(volume: &str, service: &ServiceName, by: &ServiceName) -> ErrorDetail {
    let why = vec![format!("service {by} uses it too")];
    let next = vec![format!("ctl delete {service}")];
    let what = format!("volume {volume} cannot be deleted with {service}");
    ErrorDetail { why, next, ..codes::VOLUME_SHARED.detail(what) }
}

fn joined(objects: &[ObjectRef]) -> String {
    objects.iter().map(|object| object.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn not_found(objects: &[ObjectRef]) -> ErrorDetail {
    let kind = objects.first().map_or("object", |object| object.kind.word());
    let what = match objects {
        [object] => format!("no {kind} named {}", object.name),
        objects => format!("no {kind}s named {}", joined(objects)),
    };
    ErrorDetail { next: vec!["ctl get services".to_owned()], ..codes::NOT_FOUND.detail(what) }
}

/// Names each field with both values, and the command with either flag for all fields.
fn overridden(conflicts: &[Conflict], by: &Author) -> ErrorDetail {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let line = |conflict: &Conflict| {
        let Overridden { field, file, applied, live, by, at } = &conflict.over;
        let file = value(file);
        let applied = value(applied);
        let live = value(live);
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
    ErrorDetail { why: conflicts.iter().map(line).collect(), next, ..codes::OVERRIDDEN.detail(what) }
}

fn unresolved(images: &[UnresolvedImage]) -> ErrorDetail {
    let what = match images {
        [image] => format!("cannot resolve image {} of service {}", image.reference, image.object.name),
        images => format!("cannot resolve {} images", images.len()),
    };
    // A single image is named by the first line already.
    let line = |i: &UnresolvedImage| match images {
        [_] => format!("{}: {}", i.origin, i.why),
        _ => format!("{} ({}): {}: {}", i.object.name, i.origin, i.reference, i.why),
    };
    ErrorDetail { why: images.iter().map(line).collect(), ..codes::IMAGE_UNRESOLVED.detail(what) }
}

fn no_memory(short: &[CapacityShortage]) -> ErrorDetail {
    let why = short.iter().map(ToString::to_string).collect();
    let next = vec!["ctl get".to_owned()];
    ErrorDetail { why, next, ..codes::CANNOT_PLACE.detail("insufficient memory") }
}

fn no_revision(name: &ServiceName, wanted: Option<RevisionNumber>, kept: &[RevisionNumber]) -> ErrorDetail {
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
    ErrorDetail { why, next: vec![format!("ctl history {name}")], ..codes::NOT_FOUND.detail(what) }
}

fn silent(error: AgentSilent) -> ErrorDetail {
    ErrorDetail {
        now: Some("the request may still take effect".to_owned()),
        next: vec!["ctl status".to_owned()],
        ..codes::DAEMON_SILENT.detail(error.to_string())
    }
}

fn engine(error: &EngineError) -> ErrorDetail {
    let code: Code = match error {
        EngineError::Missing { .. } => codes::DOCKER_MISSING,
        EngineError::Denied { .. } => codes::DOCKER_DENIED,
        away if away.is_away() => codes::DOCKER_STOPPED,
        _ => codes::DOCKER_REFUSED,
    };
    ErrorDetail {
        now: Some(NOTHING_CHANGED.to_owned()),
        next: vec!["ctl status".to_owned()],
        ..code.detail(error.to_string())
    }
}
