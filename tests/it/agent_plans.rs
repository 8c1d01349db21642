//! Golden plans of the agent: each `tests/plans/agent/<case>/script.txt` describes a host line by line; each `plan` line
//! prints what the agent decides then, next to the expected `plan.snap`.
//!
//! `replica NAME run|drain|remove` · `service` (its app has one) · `spec health=none|http port=none pull=never health=exec volumes`
//! `env balancer` · `container ID REPLICA ATTEMPT STATE [error]` with STATE `created`, `running@S`, `paused@S`,
//! `exited:CODE@S`, `dead`, `removing` · `foreign ID REPLICA ATTEMPT STATE` · `gone ID` · `off-network ID`
//! `status REPLICA PHASE ATTEMPT FAILURES [ID]` · `endpoint REPLICA ID@S ready|unready|draining` · `no-endpoint REPLICA`
//! `probe ID@S ready|starting|failing|late` · `table [ID@S …]` · `ack REVISION [in-flight]` · `silent`
//! `exposure published` · `published ID PORT` (its port 8080, at this port of 127.0.0.1)
//! `image present|absent` · `network [SUBNET]` · `no-network` · `subnet CIDR` · `record SUBNET RESERVED` · `busy REPLICA`
//! `away` / `back` · `signalled ID@S` · `refused ID MESSAGE` · `plan SECONDS`

#![allow(clippy::unwrap_used)] // a script that is wrong fails its test

mod print;
mod script;

use std::path::Path;

/// Every case, found by its folder.
#[test]
fn golden_plans_of_the_agent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/agent");
    let mut cases: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for case in cases {
        check(&case);
    }
}

fn check(case: &Path) {
    let text = std::fs::read_to_string(case.join("script.txt")).unwrap();
    let printed = script::run(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(case);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("plan", printed));
}
