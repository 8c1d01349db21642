//! The figures that Coxswain promises, measured in one run and printed as the table of `docs/benchmarks.md`:
//! `cargo bench --bench figures`, or only some of them: `cargo bench --bench figures -- kill http`.
//!
//! Figures depend on the machine; where something else does the same work they are ratios to it, both taken in turns in
//! the same run. Everything a measurement makes is removed by it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // what cannot be measured ends the run
#![allow(clippy::print_stdout, clippy::print_stderr)] // printing is what it is for

use std::cell::OnceCell;

mod apply;
#[allow(dead_code)] // the tests use more of it
#[path = "../tests/engine/daemon.rs"]
mod daemon;
#[allow(dead_code)] // the tests use it
#[path = "../tests/engine/faultsock.rs"]
mod faultsock;
mod fifty;
mod figure;
mod first_byte;
mod get;
mod http;
#[allow(dead_code)] // the tests use more of it
#[path = "../tests/engine/http2_load.rs"]
mod http2_load;
mod idle;
#[allow(dead_code)] // the tests use more of it
#[path = "../tests/engine/images.rs"]
mod images;
mod kill;
#[allow(dead_code)] // the tests use more of it
#[path = "../tests/engine/load.rs"]
mod load;
mod noop_pass;
mod raw;
mod replicas;
mod rollout;

use fifty::Fifty;
use figure::Figure;

/// Made by the first measurement that needs them, and shared by the others.
type Shared = OnceCell<Fifty>;

type Measure = fn(&Shared) -> Vec<Figure>;

const ALL: [(&str, Measure); 8] = [
    ("noop_pass", noop_pass::measure),
    ("apply", apply::measure),
    ("rollout", rollout::measure),
    ("kill", kill::measure),
    ("http", http::measure),
    ("idle", idle::measure),
    ("get", get::measure),
    ("first_byte", first_byte::measure),
];

fn main() {
    // Cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| ALL.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no measurement {unknown}; there are: {}", known.join(", "));
        std::process::exit(2);
    }
    let shared = Shared::new();
    let mut figures = Vec::new();
    for (name, measure) in ALL {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            eprintln!("measuring {name} …");
            let measured = measure(&shared);
            // a measurement that fails later ends the run, and must not take these with it
            eprintln!("{}", figure::table(&measured));
            figures.extend(measured);
        }
    }
    println!("{}\n{}", figure::machine(), figure::table(&figures));
    drop(shared); // an exit removes nothing
    if figures.iter().any(Figure::is_missed) {
        std::process::exit(1);
    }
}
