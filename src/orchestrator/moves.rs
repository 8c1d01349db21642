//! The move of one pass, as data: what a strategy decides and the pass carries out.

use super::census::ClassifiedReplica;
use crate::model::{Cause, Revision};

/// A change of a service's replicas.
#[derive(Debug)]
pub(super) enum Move<'a> {
    /// Start replicas, in the smallest free slots.
    Start { revision: &'a Revision, count: usize },
    /// Drain, stop and remove replicas.
    Remove { replicas: Vec<ClassifiedReplica<'a>>, cause: Cause },
}
