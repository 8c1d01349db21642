//! Adoption: replicas of the target's template move to the target as they are, without a restart.

use super::census::{ClassifiedReplica, available};
use super::pass::Pass;
use super::{Blocker, deadline};
use crate::model::Replica;

/// Moves replicas over; says whether there were any. Where the target has another health check they move in steps, and the
/// next step comes when the changed check had time to fail.
pub(super) fn adopt(pass: &mut Pass<'_>) -> bool {
    let at_once = match deadline::probation(pass) {
        None => usize::MAX,
        Some(left) if left.0 > 0 && !pass.census.current.is_empty() => {
            if !pass.census.matching.is_empty() {
                pass.changes.blockers.push(Blocker::OnProbation { left });
            }
            0
        }
        Some(_) if available(&pass.census.current) < pass.census.current.len() => 0,
        Some(_) => (pass.bounds.wanted - pass.bounds.floor).max(1),
    };
    // A replica that does not serve loses nothing by another check.
    let (serving, idle): (Vec<ClassifiedReplica<'_>>, Vec<ClassifiedReplica<'_>>) =
        pass.census.matching.iter().partition(|s| s.available);
    let moving: Vec<ClassifiedReplica<'_>> =
        idle.into_iter().chain(serving.into_iter().take(at_once)).collect();
    for seen in &moving {
        pass.put(Replica { revision: pass.target.number, ..seen.view.replica.clone() });
    }
    !moving.is_empty()
}
