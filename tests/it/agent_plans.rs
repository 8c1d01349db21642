//! Golden plans of the agent: each `tests/plans/agent/<case>/script.txt` describes a node line by line; each `plan` line
//! prints what the agent decides then, next to the expected `plan.snap`. The grammar is in `tests/README.md`.

mod print;
mod script;

#[test]
fn agent_plans_match_their_snapshots() {
    crate::golden::check("agent", 78, script::run);
}
