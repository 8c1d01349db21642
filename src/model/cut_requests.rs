//! Requests that ended with their container, because they outlasted the drain. Pure.
//!
//! The agent counts them when it sends the stop signal, in the status of the replica; the orchestrator collects them in the
//! rollout, because a status goes with its replica; the event of a deletion has the last ones, because the rollout goes with
//! its service.

use serde::{Deserialize, Serialize};

use super::{Generation, Millis, ReplicaName};

/// Replicas of one operation whose cut requests are kept: as many as a service has at most. A rollout is written every few
/// seconds. With more, as of a rollback of all of them, the last one's number becomes unknown, so that a sum is no exact one.
const MOST_KEPT: usize = 200;

/// The requests of a replica that were cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CutRequests {
    pub replica: ReplicaName,
    /// `None` where no balancer reported how many there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// How long they were waited for; `None` for a container off its network, which is not drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Millis>,
}

/// The cut requests of a replica, with the generation of the service that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CutByRollout {
    pub generation: Generation,
    #[serde(flatten)]
    pub cut: CutRequests,
}

/// Those of all replicas that were removed since the last operation began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutCuts(Vec<CutByRollout>);

impl RolloutCuts {
    /// Whether nothing was cut.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a replica's requests; no effect for a replica that was added before.
    pub fn add(&mut self, generation: Generation, cut: &CutRequests) {
        if self.0.iter().any(|known| known.cut.replica == cut.replica) {
            return;
        }
        if self.0.len() < MOST_KEPT {
            self.0.push(CutByRollout { generation, cut: cut.clone() });
        } else if let Some(last) = self.0.last_mut() {
            last.generation = last.generation.max(generation);
            last.cut.requests = None;
        }
    }

    /// Another operation begins: keeps only replicas that still exist, which would be added again otherwise.
    pub fn begin_operation(&mut self, exists: impl Fn(&ReplicaName) -> bool) {
        self.0.retain(|known| exists(&known.cut.replica));
    }

    /// What was cut since that generation was written.
    pub fn since(&self, generation: Generation) -> impl Iterator<Item = &CutRequests> {
        self.0.iter().filter(move |known| known.generation >= generation).map(|known| &known.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(replica: &str) -> CutRequests {
        CutRequests { replica: replica.into(), requests: Some(1), drain: Some(Millis::secs(10)) }
    }

    fn names(cuts: &RolloutCuts, generation: u64) -> Vec<&str> {
        cuts.since(Generation(generation)).map(|cut| cut.replica.as_str()).collect()
    }

    #[test]
    fn cut_requests_of_a_replica_count_once_for_the_generation_that_removed_it() {
        let mut cuts = RolloutCuts::default();
        cuts.add(Generation(4), &cut("a"));
        cuts.add(Generation(5), &cut("b"));
        cuts.add(Generation(5), &cut("a"));
        assert_eq!(names(&cuts, 4), ["a", "b"]);
        assert_eq!(names(&cuts, 5), ["b"]);
        cuts.begin_operation(|replica| replica.as_str() == "a");
        cuts.add(Generation(6), &cut("a"));
        assert_eq!(names(&cuts, 4), ["a"]);
        assert_eq!(names(&cuts, 6), [""; 0], "retained since generation 4");
    }

    #[test]
    fn cut_requests_beyond_the_limit_make_the_number_unknown() {
        let mut cuts = RolloutCuts::default();
        let known = |cuts: &RolloutCuts| cuts.since(Generation(1)).all(|cut| cut.requests.is_some());
        (0..MOST_KEPT).for_each(|n| cuts.add(Generation(1), &cut(&format!("r{n}"))));
        assert!(known(&cuts));
        cuts.add(Generation(1), &cut("one-more"));
        assert_eq!(names(&cuts, 1).len(), MOST_KEPT);
        assert!(!known(&cuts));
    }
}
