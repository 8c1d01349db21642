//! From a request to its route: what the balancer does for every request, and what `ctl route explain` shows. Pure.
//!
//! `normalise` brings host and path into the form that is routed on and forwarded, `condition` decides whether a condition
//! holds, `router` finds the route, `redirect` says where one leads, `explanation` says of every route why it is or is not the one.
//! Invariant: an explanation names the route that the router finds, because both ask the same functions.
//! Deliberately absent: backends and endpoints, which the balancer's picker chooses.

pub mod condition;
pub mod explanation;
pub mod normalise;
pub mod redirect;
pub mod router;
