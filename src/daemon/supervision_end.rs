//! What the ends of both roles mean for the daemon.

use anyhow::bail;

use super::child::Child;
use super::role_keeper::RoleEnd;

/// What is left when the children are no longer watched.
pub(super) enum SupervisionEnd {
    Stopped,
    HandOver(Vec<Child>),
}

impl SupervisionEnd {
    /// What the ends of both roles mean.
    ///
    /// # Errors
    /// When a child refused to start.
    pub(super) fn of_roles(
        controller: RoleEnd,
        balancer: RoleEnd,
        retired: Vec<Child>,
    ) -> anyhow::Result<Self> {
        match (controller, balancer) {
            (RoleEnd::Refused, _) => bail!("the controller refused to start; the log above says why"),
            (_, RoleEnd::Refused) => bail!("the balancer refused to start; the log above says why"),
            (RoleEnd::HandedOver(controller), RoleEnd::HandedOver(balancer)) => {
                Ok(SupervisionEnd::HandOver(controller.into_iter().chain(balancer).chain(retired).collect()))
            }
            (RoleEnd::Stopped, RoleEnd::Stopped) => Ok(SupervisionEnd::Stopped),
            // stopped while it was about to hand over: the rest is stopped too
            (RoleEnd::HandedOver(child), RoleEnd::Stopped)
            | (RoleEnd::Stopped, RoleEnd::HandedOver(child)) => {
                Ok(SupervisionEnd::HandOver(child.into_iter().chain(retired).collect()))
            }
        }
    }
}
