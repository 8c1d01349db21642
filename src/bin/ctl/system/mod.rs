//! The daemon as a service of the machine: unit, group, user, directories, completions and man pages.
//!
//! What to do is a plan, made from facts about the machine; carrying it out only follows the plan.
//! Deliberately absent: other service managers than systemd, and packages, which bring the same files themselves.

pub(crate) mod carry_out;
pub(crate) mod facts;
pub(crate) mod install;
pub(crate) mod layout;
pub(crate) mod pages;
pub(crate) mod step;
pub(crate) mod uninstall;
pub(crate) mod unit;
