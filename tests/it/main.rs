//! Tests that need no Docker. One binary: a module per subject.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // here everything is a test

mod agent_plans;
mod balancer;
mod cli;
mod controller;
mod docs;
mod golden;
mod logs;
mod manifests;
mod object_kinds;
mod plane;
mod plans;
mod simulation;
mod source;
mod store;
mod supervisor;
mod tables;
mod tidy;
mod volume_removal;
mod wire;
