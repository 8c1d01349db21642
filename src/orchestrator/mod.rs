//! Services to replicas: decides which revision each service should run and takes one move per pass towards it. Pure.
//!
//! [`plan`] is a pure function; the controller reads the view and commits the changes in one transaction.
//! [`Changes::blockers`] says why nothing moved, [`assess`] what is true of the service right now.
//! Invariants: synchronous; one move per pass, progress is read back from the view, so a restarted leader
//! resumes where the last one stopped; a pass follows the rollout's `target`, never the spec directly. What no plan may do
//! is written down in [`invariants`] and checked on every plan; a plan that breaks a rule is refused.
//! Deliberately absent: containers, probes, addresses (`agent`), tables (`registry`).

mod adoption;
mod blocker;
mod bounds;
mod capacity;
mod census;
mod cleanup;
mod conditions;
mod cut_requests;
mod deadline;
mod delete;
mod intervention;
pub mod invariants;
mod moves;
mod observation;
mod pass;
mod pause;
mod placement;
mod progress;
mod recovery;
mod replica_count;
mod revision;
mod rollback;
mod stability;
mod strategies;
mod surplus;
mod verdict;
mod view;
mod violation;

pub use blocker::Blocker;
pub use capacity::{CapacityRequest, CapacityShortage, NodeCapacity, shortages};
pub use conditions::{Assessment, assess};
pub use pass::{MOST_OPERATIONS, SAVE_WAIT_EVERY};
pub use revision::asks_for_nothing_new;
pub use view::{Changes, ReplicaView, ServiceView, VolumeRemovalState};
pub use violation::{InvalidPlan, Violation};

use crate::model::Now;
use pass::Pass;

/// What is to be written for this service now. The controller commits it whole; the write wakes the next pass. Where it
/// writes `rollout`, the view's `unsaved_wait` starts again at zero.
///
/// # Errors
/// The plan breaks an invariant: nothing of it may be written.
pub fn plan(view: &ServiceView, now: Now) -> Result<Changes, InvalidPlan> {
    let changes =
        if view.service.deleted_at.is_some() { delete::plan(view, now) } else { keep_running(view, now) };
    invariants::validate(view, changes)
}

/// The steps of a pass over a service that is to run; each sees what the earlier ones decided.
fn keep_running(view: &ServiceView, now: Now) -> Changes {
    let observed = revision::observe(view, now);
    let number = observed.rollout.target;
    let new = observed.new_revision.as_ref().filter(|r| r.number == number);
    let Some(target) = new.or_else(|| view.revisions.get(&number)) else {
        return Changes {
            blockers: vec![Blocker::RevisionMissing { revision: number }],
            ..Changes::default()
        };
    };
    let bounds = strategies::of(view, target).bounds(view, target);
    let mut pass = Pass::begin(view, now, observed.rollout, target, bounds, observed.events);
    observed.outcomes.into_iter().for_each(|(revision, outcome)| pass.record(revision, outcome));
    cut_requests::note(view, &mut pass.rollout);
    progress::complete_first(&mut pass);
    cleanup::delete_gone(&mut pass);
    cleanup::remove_retained(&mut pass);
    if observed.fresh {
        pass.reset_failure_baseline();
        pass.restart_wait();
    } else {
        progress::note(&mut pass);
    }
    intervention::apply(&mut pass);
    if !observed.fresh {
        recovery::resume_if_recovered(&mut pass);
        rollback::fail_if_hopeless(&mut pass);
    }
    if !take_move(&mut pass) {
        progress::conclude(&mut pass);
    }
    strategies::share_traffic(&mut pass);
    cleanup::drop_revisions(&mut pass);
    deadline::set_alarm(&mut pass);
    stability::observe(&mut pass);
    let changes = pass.finish();
    Changes { new_revision: observed.new_revision, ..changes }
}

/// Takes the first move that is due; says whether there was one. Only a rollout that neither failed nor is paused follows
/// its strategy.
fn take_move(pass: &mut Pass<'_>) -> bool {
    if surplus::remove(pass) {
        return true;
    }
    if let Some(took) = replica_count::maintain_count_without_rollout(pass) {
        return took;
    }
    adoption::adopt(pass) || strategies::of_pass(pass).next_move(pass).is_some_and(|next| pass.take(next))
}
