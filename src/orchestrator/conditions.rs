//! Conditions of a service, for users and for `ctl wait`. No decision reads them.

use std::collections::BTreeSet;

use super::census::{is_available, is_gone};
use super::observation::{observation, unstable};
use super::pause;
use super::{ReplicaView, ServiceView};
use crate::model::{
    Condition, ConditionKind, Instability, Millis, Reason, ReplicaName, ReplicaPhase, RolloutState,
};

/// The state of a service in a few numbers and conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// `Ready`, `Progressing`, `Degraded`, in this order.
    pub conditions: [Condition; 3],
    /// The replicas that are available, also those that are to be removed.
    pub available_replicas: BTreeSet<ReplicaName>,
    /// Replicas wanted; none of a service that is deleted.
    pub wanted: u32,
    /// Replicas meant to run that are available, of any revision: more than wanted during a surge.
    pub available: u32,
    /// Of these, the ones of the rollout's target.
    pub of_target: u32,
    /// How long all wanted replicas have been available, all of the rollout's target; `None` where they are not.
    pub served_for: Option<Millis>,
    /// One line per replica that makes no progress or is unstable: `web-4-b: exited with code 1 (3 failures so far)`.
    pub troubles: Vec<String>,
}

/// Judges a service.
pub fn assess(view: &ServiceView) -> Assessment {
    let running = || view.replicas.iter().filter(|r| r.replica.runs() && !is_gone(r));
    let deleting = view.service.deleted_at.is_some();
    let wanted = if deleting { 0 } else { view.service.spec.replica_count() };
    let target = view.rollout.as_ref().map(|r| r.target);
    let serving = view.replicas.iter().filter(|replica| is_available(view, replica));
    let available_replicas: BTreeSet<ReplicaName> = serving.map(|r| r.replica.name.clone()).collect();
    let mut count = 0_u32;
    let mut available = 0_u32;
    let mut of_target = 0_u32;
    for replica in running() {
        count += 1;
        if available_replicas.contains(&replica.replica.name) {
            available += 1;
            of_target += u32::from(Some(replica.replica.revision) == target);
        }
    }
    let troubled: Vec<TroubledReplica> = running().filter_map(|replica| trouble(view, replica)).collect();
    let counts = format!("{available} of {wanted} replicas are available");
    let starting = running().any(is_first_start);
    let conditions = [
        ready(deleting, available >= wanted, &counts),
        progressing(view, count != wanted || starting, &counts),
        degraded(view, &troubled, available >= wanted),
    ];
    let troubles = troubled.into_iter().map(|replica| replica.line).collect();
    let served = running().map(|r| r.serving_for.unwrap_or_default()).min();
    let served_for = served.filter(|_| count == wanted && of_target == wanted);
    Assessment { conditions, available_replicas, wanted, available, of_target, served_for, troubles }
}

fn condition(kind: ConditionKind, status: bool, reason: Reason, message: impl Into<String>) -> Condition {
    Condition { kind, status, reason, message: message.into() }
}

fn ready(deleting: bool, enough: bool, counts: &str) -> Condition {
    let (status, reason) = match (deleting, enough) {
        (true, _) => (false, Reason::Deleting),
        (false, true) => (true, Reason::AllAvailable),
        (false, false) => (false, Reason::TooFewAvailable),
    };
    condition(ConditionKind::Ready, status, reason, counts)
}

/// `counting`: the number of replicas is on its way to the one wanted.
fn progressing(view: &ServiceView, counting: bool, counts: &str) -> Condition {
    let progressing =
        |status, reason, message: &str| condition(ConditionKind::Progressing, status, reason, message);
    if view.service.deleted_at.is_some() {
        return progressing(true, Reason::Deleting, "its replicas are drained and removed");
    }
    let seen = view.rollout.as_ref().filter(|r| r.observed_generation == view.service.metadata.generation);
    let Some(rollout) = seen else {
        return progressing(true, Reason::RollingOut, "the last write has not been acted on yet");
    };
    if let Some(intervention) = pause::in_force(view, rollout) {
        return progressing(true, Reason::RolloutPaused, &format!("paused by {}", intervention.by.summary()));
    }
    match &rollout.state {
        RolloutState::Progressing { .. } => progressing(true, Reason::RollingOut, counts),
        RolloutState::RollingBack { .. } => progressing(true, Reason::RollingBack, counts),
        _ if counting => progressing(true, Reason::TooFewAvailable, counts),
        RolloutState::Complete => progressing(false, Reason::RolledOut, ""),
        RolloutState::RolledBack { failure } => progressing(false, Reason::RolledBack, &failure.to_string()),
        RolloutState::Failed { failure, .. } => {
            progressing(false, Reason::RolloutFailed, &failure.to_string())
        }
    }
}

fn degraded(view: &ServiceView, troubled: &[TroubledReplica], enough: bool) -> Condition {
    let degraded =
        |status, reason, message: String| condition(ConditionKind::Degraded, status, reason, message);
    if view.service.deleted_at.is_some() {
        return degraded(false, Reason::Deleting, String::new());
    }
    match view.rollout.as_ref().map(|r| &r.state) {
        Some(RolloutState::RollingBack { failure, .. }) => {
            degraded(true, Reason::RollingBack, failure.to_string())
        }
        Some(RolloutState::Failed { failure, .. }) => {
            degraded(true, Reason::RolloutFailed, failure.to_string())
        }
        state => {
            let of_kind = |kind| troubled.iter().find(|replica| replica.instability == Some(kind));
            let unstable = Instability::ALL.into_iter().find_map(|kind| Some((kind, of_kind(kind)?)));
            match (unstable, state, troubled.first()) {
                // That the last rollout failed is said of the other condition too.
                (Some((kind, replica)), ..) => degraded(true, kind.reason(), replica.line.clone()),
                (None, Some(RolloutState::RolledBack { failure }), _) => {
                    degraded(true, Reason::RolledBack, failure.to_string())
                }
                (None, _, Some(first)) if enough => degraded(true, Reason::ReplicaHeldUp, first.line.clone()),
                (None, _, Some(first)) => degraded(true, Reason::TooFewAvailable, first.line.clone()),
                (None, _, None) => degraded(false, Reason::AllAvailable, String::new()),
            }
        }
    }
}

/// A replica that something keeps from serving, or that is unstable.
struct TroubledReplica {
    instability: Option<Instability>,
    line: String,
}

fn trouble(view: &ServiceView, replica: &ReplicaView) -> Option<TroubledReplica> {
    let instability = view.rollout.as_ref().and_then(|rollout| rollout.instability(&replica.replica.name));
    let line = match instability {
        Some(kind) => unstable(replica, kind),
        None if is_in_trouble(replica) => observation(replica),
        None => return None,
    };
    Some(TroubledReplica { instability, line })
}

/// Whether something keeps it from serving, beyond taking its time.
fn is_in_trouble(replica: &ReplicaView) -> bool {
    replica.status.as_ref().is_some_and(|status| status.phase.cause().is_some())
}

/// Whether it is still on its way to being ready for the first time.
fn is_first_start(replica: &ReplicaView) -> bool {
    replica.status.as_ref().is_none_or(|status| {
        status.failures == 0
            && matches!(
                status.phase,
                ReplicaPhase::Waiting { cause: None } | ReplicaPhase::Pulling | ReplicaPhase::Starting { .. }
            )
    })
}
