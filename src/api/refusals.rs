//! Turns a controller error into the error that the user reads.

mod claim;
mod image;
mod previous;
mod rollout_command;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::code::Code;
use super::codes;
use super::types::{ApiError, ErrorDetail};
use crate::controller::{
    AgentSilent, CapacityShortage, Conflict, ControllerError, DocumentProblem, EngineError, Overridden,
};
use crate::model::{
    AppName, Author, ExposureMode, Generation, ObjectRef, ReplicaName, RevisionNumber, ServiceName,
};

/// For requests that were rejected before any write.
const NOTHING_CHANGED: &str = "nothing was changed";

/// The API error for a controller error.
pub(crate) fn error_of(error: ControllerError) -> ApiError {
    detail_of(error).into()
}

/// An error of a request that changed nothing says so, unless its case knows better.
fn detail_of(error: ControllerError) -> ErrorDetail {
    match error {
        ControllerError::NotFound(names) => not_found(&names),
        ControllerError::NoReplica(name) => no_replica(&name),
        ControllerError::NoAuthority => no_authority(),
        ControllerError::NoPrevious(names) => previous::none(&names),
        ControllerError::PreviousGone(gone) => previous::gone(&gone),
        ControllerError::ChangedMeanwhile { object, read, found, by, written } => {
            changed_meanwhile(&object, [read, found], &by, &written)
        }
        ControllerError::Engine(error) => engine(&error),
        other @ ControllerError::NodeNotConnected(_) => unchanged(not_connected(&other)),
        ControllerError::Agent(error) => silent(error),
        ControllerError::Store(error) => store_failed(error.to_string()),
        ControllerError::Fields(error) => unchanged(codes::STORE_FAILED.detail(error.to_string())),
        ControllerError::Invalid(problems) => unchanged(invalid(problems)),
        ControllerError::BadValue(message) => unchanged(codes::USAGE.detail(message)),
        ControllerError::BalancerUnknown { origins, exposure } => {
            unchanged(balancer_unknown(&origins, exposure))
        }
        ControllerError::Images(images) => unchanged(image::unresolved(&images)),
        ControllerError::NothingToRun(images) => unchanged(image::nothing_to_run(&images)),
        ControllerError::NoCapacity(short) => unchanged(no_capacity(&short)),
        ControllerError::Claimed { claim, object, origin, holder } => {
            unchanged(claim::taken(&claim, &object, &origin, &holder))
        }
        ControllerError::OwnPort { port, object, origin, by } => {
            unchanged(own_port(port, &object, &origin, &by))
        }
        ControllerError::Overridden { conflicts, by } => unchanged(overridden(&conflicts, &by)),
        ControllerError::OtherApp { object, there, here } => unchanged(other_app(&object, &there, &here)),
        ControllerError::VolumeShared { volume, service, by } => {
            unchanged(volume_shared(&volume, &service, &by))
        }
        ControllerError::OtherSource { object, there } => unchanged(other_source(object, there)),
        ControllerError::BeingDeleted(object) => unchanged(being_deleted(&object)),
        ControllerError::ImageGone { revision, gone } => unchanged(image::image_gone(revision, &gone)),
        ControllerError::NotNow { name, rejection } => unchanged(rollout_command::error(&name, &rejection)),
        ControllerError::NoRevision { name, wanted, kept } => unchanged(no_revision(&name, wanted, &kept)),
    }
}

fn unchanged(detail: ErrorDetail) -> ErrorDetail {
    ErrorDetail { now: Some(NOTHING_CHANGED.to_owned()), ..detail }
}

fn invalid(problems: Vec<DocumentProblem>) -> ErrorDetail {
    ErrorDetail { problems, ..codes::INVALID_MANIFEST.detail(codes::INVALID_MANIFEST.title) }
}

fn no_replica(name: &ReplicaName) -> ErrorDetail {
    let next = vec!["ctl get replicas".to_owned()];
    ErrorDetail { next, ..codes::NOT_FOUND.detail(format!("no replica named {name}")) }
}

fn no_authority() -> ErrorDetail {
    let why = vec!["it is made with the first certificate, and no route has `tls: auto`".to_owned()];
    let next = vec!["ctl explain service.spec.route.tls".to_owned(), "ctl get certificates".to_owned()];
    ErrorDetail { why, next, ..codes::NOT_FOUND.detail("there is no local CA yet") }
}

fn not_connected(error: &ControllerError) -> ErrorDetail {
    let next = vec!["ctl status".to_owned()];
    ErrorDetail { next, ..codes::NODE_NOT_CONNECTED.detail(error.to_string()) }
}

fn store_failed(what: String) -> ErrorDetail {
    let next = vec!["ctl status".to_owned()];
    ErrorDetail { next, ..codes::STORE_FAILED.detail(what) }
}

/// Names where the object is declared: only there it can be changed.
fn other_source(object: ObjectRef, there: Option<String>) -> ErrorDetail {
    let why = vec!["only the source that declares an object can change or delete it".to_owned()];
    let next = match &there {
        Some(directory) => format!("grep -rlw {} {directory}", object.name),
        None => format!("ctl describe {}", object.name),
    };
    let what = ControllerError::OtherSource { object, there }.to_string();
    ErrorDetail { why, next: vec![next], ..codes::OTHER_OWNER.detail(what) }
}

fn being_deleted(object: &ObjectRef) -> ErrorDetail {
    let what = format!("{} is being deleted", object.phrase());
    let next = vec![format!("ctl wait {} --for deleted", object.name)];
    ErrorDetail { next, ..codes::CHANGED_MEANWHILE.detail(what) }
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
            "containers cannot reach any HTTP listener of the balancer: it listens on 127.0.0.1 or IPv6 only",
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

fn own_port(port: u16, object: &ObjectRef, origin: &str, by: &SocketAddr) -> ErrorDetail {
    let why = vec![
        format!("the daemon serves HTTP on {by} (`ctl serve --http`)"),
        format!("{} listens on port {port} in {origin}", object.phrase()),
    ];
    ErrorDetail {
        why,
        next: vec!["choose another port under `listen`".to_owned()],
        ..codes::ROUTE_TAKEN.detail(format!("TCP port {port} is used by the daemon itself"))
    }
}

fn other_app(object: &ObjectRef, there: &AppName, here: &AppName) -> ErrorDetail {
    let why = vec![format!("the manifest says app {here}; a service cannot change its app")];
    let next = vec![format!("ctl get {} -o yaml", object.name)];
    ErrorDetail {
        why,
        next,
        ..codes::OTHER_OWNER.detail(format!("{} belongs to app {there}", object.phrase()))
    }
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

fn no_capacity(short: &[CapacityShortage]) -> ErrorDetail {
    let why = short.iter().map(ToString::to_string).collect();
    let next = vec!["ctl get".to_owned()];
    ErrorDetail { why, next, ..codes::CANNOT_PLACE.detail("insufficient memory or cpu") }
}

fn no_revision(name: &ServiceName, wanted: Option<RevisionNumber>, kept: &[RevisionNumber]) -> ErrorDetail {
    let what = match wanted {
        Some(number) => format!("service {name} has no revision {number}"),
        None => format!("service {name} has no earlier release to go back to"),
    };
    let numbers = kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut why = Vec::new();
    if wanted.is_none() {
        let rule =
            "an undo goes back to what served before, and no other release has completed; a restart is none";
        why.push(rule.to_owned());
    }
    why.push(match numbers.as_str() {
        "" => "no revisions yet".to_owned(),
        numbers => format!("revisions kept: {numbers}"),
    });
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
        EngineError::Stopped { .. } | EngineError::Unanswered { .. } => codes::DOCKER_STOPPED,
        EngineError::NotFound { .. }
        | EngineError::NotRunning { .. }
        | EngineError::Conflict { .. }
        | EngineError::PullDenied { .. }
        | EngineError::ImageUnknown { .. }
        | EngineError::RegistryUnreachable { .. }
        | EngineError::Invalid { .. }
        | EngineError::Failed { .. } => codes::DOCKER_REFUSED,
    };
    // A call without an answer may have taken effect.
    let is_unknown = matches!(error, EngineError::Unanswered { .. });
    ErrorDetail {
        now: (!is_unknown).then(|| NOTHING_CHANGED.to_owned()),
        next: vec!["ctl status".to_owned()],
        ..code.detail(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::UnresolvedImage;

    fn users() -> ObjectRef {
        (&ServiceName::new("users")).into()
    }

    #[test]
    fn engine_error_says_that_nothing_changed_only_where_that_is_known() {
        let socket = "/run/docker.sock".to_owned();
        let unanswered = EngineError::Unanswered { call: "kill", message: "timed out".to_owned() };
        for (error, code, now) in [
            (EngineError::Stopped { socket }, "CTL-0112", Some(NOTHING_CHANGED)),
            (unanswered, "CTL-0112", None),
            (EngineError::NotRunning { name: "c1".to_owned() }, "CTL-0114", Some(NOTHING_CHANGED)),
        ] {
            let detail = engine(&error);
            assert_eq!((detail.code.as_str(), detail.now.as_deref()), (code, now), "{error}");
        }
    }

    #[test]
    fn rejected_object_or_image_has_a_next_command() {
        let image = |reference: &str| UnresolvedImage {
            object: users(),
            origin: "app.yaml:3".to_owned(),
            reference: reference.to_owned(),
            why: "unknown".to_owned(),
        };
        let there = Some("/manifests".to_owned());
        let other_app = ControllerError::OtherApp { object: users(), there: "a".into(), here: "b".into() };
        for (error, next) in [
            (ControllerError::OtherSource { object: users(), there }, "grep -rlw users /manifests"),
            (ControllerError::OtherSource { object: users(), there: None }, "ctl describe users"),
            (other_app, "ctl get users -o yaml"),
            (ControllerError::Images(vec![image("a:1"), image("a:1")]), "docker pull a:1"),
            (
                ControllerError::Images(vec![image("c:1"), image("b:1"), image("a:1")]),
                "docker pull a:1; docker pull b:1",
            ),
        ] {
            let detail = detail_of(error);
            assert_eq!(detail.next.join("; "), next);
            assert_eq!(detail.now.as_deref(), Some(NOTHING_CHANGED));
        }
    }
}
