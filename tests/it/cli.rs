//! The built `ctl` against a scripted daemon: what it prints, where, and what it exits with.

#![allow(clippy::unwrap_used)] // a fixture that cannot be made is a failed test

mod apply;
mod deadlines;
mod describe;
mod errors;
mod failures;
mod get;
mod help;
mod history;
mod objects;
mod operate;
mod route;
mod scripts;
mod stub;
mod system;
mod terminal;
mod transcript;
mod verify;
