//! A header that says `Pure.` is held to it: no async, I/O, clock, randomness, logging and locks in that file.
//!
//! The headers are the list of what is pure. `Pure.` in a `mod.rs` speaks for its whole folder.

use super::Complaint;
use super::source::{CodePath, Source};

/// Crates that pure files may use.
const PURE_CRATES: [&str; 9] =
    ["serde", "serde_json", "thiserror", "sha2", "hex", "ipnet", "jiff", "schemars", "strsim"];
/// And those that one place may use beyond them: they turn values into values.
const PURE_CRATES_OF: [(&str, &[&str]); 5] = [
    ("src/manifest/", &["serde_saphyr", "granit_parser"]),
    ("src/engine/", &["bollard"]),
    ("src/certificates/", &["rustls", "x509_parser"]),
    (
        "src/bin/ctl/",
        &["comfy_table", "console", "miette", "serde_saphyr", "clap", "clap_complete", "clap_mangen"],
    ),
    ("src/balancer/", &["http", "bytes", "http_body", "httparse"]),
];
/// Parts of the standard library that act or look at the world. Addresses of `std::net` are only values.
const IMPURE_STD: [&str; 6] = ["fs", "io", "env", "process", "thread", "os"];
/// Values of `std::io` that a pure file may take apart.
const IO_VALUES: [&str; 2] = ["Error", "ErrorKind"];
/// Words that no pure file has a use for.
const IMPURE_WORDS: [&str; 11] = [
    "async",
    "await",
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "RandomState",
    "ToSocketAddrs",
    "Mutex",
    "RwLock",
];
/// Types whose `now` asks the clock.
const CLOCKS: [&str; 2] = ["Timestamp", "Zoned"];

/// Where time is not an argument: the clock itself, and `ctl`, which no simulation runs.
const ASKS_THE_CLOCK: [&str; 2] = ["src/clock/", "src/bin/ctl/"];

/// Tokio's clock stops in tests and simulations only where everything asks the same one. (clippy refuses the system's.)
pub(super) fn check_clock(path: &str, source: &Source) -> Vec<Complaint> {
    if ASKS_THE_CLOCK.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let asked =
        source.paths_in_code().filter(|path| path.parts.ends_with(&["Instant".to_owned(), "now".to_owned()]));
    asked
        .map(|found| Complaint::new(path, "`Instant::now`: time is an argument; ask `Clock`").at(found.line))
        .collect()
}

/// Whether a header makes the claim.
pub(super) fn claims(source: &Source) -> bool {
    words(&source.header).any(|word| word == "Pure.")
}

fn words(header: &str) -> impl Iterator<Item = &str> {
    header.split_whitespace()
}

/// A claim in other letters would not be checked.
pub(super) fn check_claim(path: &str, source: &Source) -> Vec<Complaint> {
    let odd = words(&source.header).find(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        (bare == "PURE" || bare == "Pure") && *word != "Pure."
    });
    odd.map(|word| Complaint::new(path, format!("`{word}` in its header: write `Pure.`")))
        .into_iter()
        .collect()
}

/// What a pure file may not do. The crates are those of the manifest.
pub(super) fn check(path: &str, source: &Source, crates: &[String]) -> Vec<Complaint> {
    let more = PURE_CRATES_OF.iter().filter(|(place, _)| path.starts_with(place)).flat_map(|(_, more)| *more);
    let allowed: Vec<&str> = PURE_CRATES.iter().chain(more).copied().collect();
    let impure = source.paths().filter(|path| {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        let foreign =
            parts.len() > 1 && crates.iter().any(|name| name == parts[0]) && !allowed.contains(&parts[0]);
        let acts = parts.len() > 1
            && parts[0] == "std"
            && IMPURE_STD.contains(&parts[1])
            && !(parts[1] == "io" && parts.get(2).is_some_and(|part| IO_VALUES.contains(part)));
        let asks = parts.windows(2).any(|pair| pair[1] == "now" && CLOCKS.contains(&pair[0]));
        foreign || acts || asks || parts.iter().any(|part| IMPURE_WORDS.contains(part))
    });
    let complaint = |found: &CodePath| {
        Complaint::new(path, format!("`{}` in a pure file", found.parts.join("::"))).at(found.line)
    };
    impure.map(complaint).collect()
}

#[test]
fn claim_must_be_exactly_pure() {
    for (header, claimed, complained) in [
        ("Plans. Pure.", true, false),
        ("Plans.\n//!\n//! Pure. No clock.", true, false),
        ("A pure plan: pure.", false, false),
        ("Plans. PURE.", false, true),
        ("Plans. Pure: no clock.", false, true),
        ("Plans. Pure, and small.", false, true),
    ] {
        let source = Source::parse(&format!("//! {header}\n"));
        assert_eq!(claims(&source), claimed, "{header}");
        assert_eq!(!check_claim("src/agent/plan.rs", &source).is_empty(), complained, "{header}");
    }
}

#[test]
fn check_clock_reports_time_read_outside_clock() {
    for asking in ["fn f() { tokio::time::Instant::now(); }", "fn f() { x.unwrap_or_else(Instant::now) }"] {
        assert_eq!(check_clock("src/agent/run.rs", &Source::parse(asking)).len(), 1, "{asking}");
        assert_eq!(check_clock("src/clock/mod.rs", &Source::parse(asking)).len(), 0, "{asking}");
    }
}

#[test]
fn effects_in_pure_file_are_reported() {
    let crates = ["tokio", "tracing", "serde", "serde_saphyr"].map(str::to_owned);
    for effect in [
        "async fn f() {}",
        "use tokio::time::sleep;",
        "fn f() { tracing::info!(\"x\") }",
        "use std::{collections::BTreeMap, fs};",
        "use std::time::Instant;",
        "use jiff::Timestamp;\nfn f() { Timestamp::now(); }",
        "use serde_saphyr::Value;",
        "use std::sync::Mutex;",
    ] {
        let source = Source::parse(effect);
        assert_eq!(check("src/agent/plan.rs", &source, &crates).len(), 1, "{effect}");
    }
    let yaml = Source::parse(
        "use serde_saphyr::Value;\nuse std::net::IpAddr;\nuse serde::Serialize;\nuse std::io::ErrorKind;",
    );
    assert_eq!(check("src/manifest/tree.rs", &yaml, &crates).len(), 0);
}
