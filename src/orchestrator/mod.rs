//! Services to replicas: decides which revision each service should run and takes one move per pass towards it.
//!
//! Purpose: `plan(&ServiceView, now) -> Changes`, a pure function; the controller reads the view and commits the changes
//! in one transaction. [`Changes::blockers`] says why nothing moved, [`assess`] what holds of the service right now.
//! Invariants: pure and synchronous; one move per pass, progress is read back from the view, so a restarted leader
//! resumes where the last one was; follows the rollout's `target`, never the spec directly. What no plan may ever do is
//! written down in [`invariants`] and checked on every plan of a debug build.
//! Deliberately absent: containers, probes, addresses (`agent`), tables (`registry`).

mod census;
mod cleanup;
mod conditions;
mod deadline;
mod delete;
mod intervention;
pub mod invariants;
mod observation;
mod pass;
mod placement;
mod progress;
mod report;
mod revision;
mod rollback;
mod rolling;
mod scale;
mod verdict;
mod view;

pub use conditions::{Assessment, assess};
pub use deadline::SAVE_WAIT_EVERY;
pub use pass::MOST_OPERATIONS;
pub use placement::{Asked, CapacityShortage, reserved, shortages};
pub use report::Blocker;
pub use revision::asks_for_nothing_new;
pub use scale::Bounds;
pub use view::{Changes, ReplicaView, ServiceView};

use crate::model::Now;
use pass::Pass;

/// What is to be written for this service now. The controller commits it whole; the write wakes the next pass. Where it
/// writes `rollout`, the view's `unsaved_wait` starts again at zero.
pub fn plan(view: &ServiceView, now: Now) -> Changes {
    let changes =
        if view.service.deleted_at.is_some() { delete::plan(view, now) } else { keep_running(view, now) };
    debug_assert_eq!(invariants::check(view, &changes), []);
    changes
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
    let mut pass = Pass::begin(view, now, observed.rollout, target, observed.events);
    observed.outcomes.into_iter().for_each(|(revision, outcome)| pass.record(revision, outcome));
    cleanup::delete_gone(&mut pass);
    cleanup::remove_drained(&mut pass);
    cleanup::remove_kept(&mut pass);
    if observed.fresh {
        pass.forgive();
        pass.restart_wait();
    } else {
        progress::note(&mut pass);
    }
    intervention::obey(&mut pass);
    if !observed.fresh {
        rollback::fail_if_hopeless(&mut pass);
    }
    if !rolling::take_move(&mut pass) {
        progress::conclude(&mut pass);
    }
    cleanup::drop_revisions(&mut pass);
    deadline::set_alarm(&mut pass);
    let changes = pass.finish();
    Changes { new_revision: observed.new_revision, ..changes }
}
