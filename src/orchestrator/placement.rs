//! Which host a new replica runs on: the one with the fewest of its service, the first named where several tie.
//!
//! A replica stays where it was put: a host that is no longer offered is unknown, not dead.

use super::ServiceView;
use super::census::is_gone;
use crate::model::{HostId, Replica};

/// The host for one more replica, counting those that this pass already places; `None` where no host is offered.
pub(super) fn choose<'a>(view: &'a ServiceView, placed: &[Replica]) -> Option<&'a HostId> {
    if let [only] = view.hosts.as_slice() {
        return Some(only);
    }
    let there = |host: &HostId| {
        let running = view.replicas.iter().filter(|r| r.replica.runs() && !is_gone(r));
        running.filter(|r| r.replica.host == *host).count()
            + placed.iter().filter(|r| r.host == *host).count()
    };
    view.hosts.iter().min_by_key(|host| there(host))
}
