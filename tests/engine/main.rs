//! Tests against the real Docker Engine. Every object they make carries the run's id and is removed by the run.
#![allow(clippy::unwrap_used)] // here everything is a test, also what carries no `#[test]`

mod contract;
mod crashing;
mod daemon;
mod docs;
mod failures;
mod faults;
mod faultsock;
mod firewall;
mod http2_load;
mod images;
mod lifecycle;
mod load;
mod logs;
mod options;
mod published;
mod pull;
mod restore;
mod routing;
mod storage;
mod storm;
mod tcp;
mod tls;
mod troubles;
mod verify;
