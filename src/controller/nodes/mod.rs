//! The nodes: which agent a request goes to, and the commands that need one.
//!
//! Purpose: the controller's only way to a node's Engine: resolving images, reading logs, killing a container, removing
//! volumes. One [`NodeRequests`](crate::agent::NodeRequests) per node.
//! Deliberately absent: the Engine itself (the agent's), and replicas: they reach an agent through the store.

mod handle;
mod kill;
mod links;
pub(crate) mod logs;
mod states;
mod volumes;

pub use handle::Nodes;
pub(super) use links::NodeLinks;
pub(super) use states::NodeStates;
pub use volumes::VolumeSnapshot;
