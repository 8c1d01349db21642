//! What `ctl verify` found, for people and for programs. PURE.

use std::time::Duration;

use coxswain::api::types::API_VERSION;
use coxswain::model::ServiceName;
use serde_json::{Value, json};

use super::style::Style;
use super::table::Table;
use crate::load::{Tally, Target};

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    /// `restart`.
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
}

/// A step, and what became of the requests that were begun in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub(crate) step: Begun,
    pub(crate) tally: Tally,
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) service: ServiceName,
    pub(crate) target: Target,
    pub(crate) steps: Vec<StepReport>,
}

impl Report {
    pub(crate) fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.tally.requests).sum()
    }

    /// Requests that failed.
    pub(crate) fn lost(&self) -> u64 {
        self.steps.iter().map(|step| step.tally.lost()).sum()
    }
}

/// A table with a row for each step.
pub(crate) fn text(report: &Report, style: Style) -> String {
    let row = |name: &str, requests: u64, lost: u64, late: u64, p99: Option<u32>, took: Duration| {
        let mark = if lost > 0 { super::table::MARK } else { "" };
        let p99 = p99.map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"));
        let took = format!("{:.1}s", took.as_secs_f64());
        let counts = [requests, lost, late].map(|count| count.to_string());
        [name.to_owned(), mark.to_owned()].into_iter().chain(counts).chain([p99, took]).collect()
    };
    let rows = report.steps.iter().map(|StepReport { step, tally }| {
        row(step.name, tally.requests, tally.lost(), tally.late, tally.p99_ms(), step.took)
    });
    let table =
        Table { header: vec!["STEP", "", "REQUESTS", "FAILED", "LATE", "P99", "TOOK"], rows: rows.collect() };
    table.render(style)
}

/// Each kind of failure of each step, with its count: `kill: 3 × 502 Bad Gateway`.
pub(crate) fn kinds(report: &Report) -> Vec<String> {
    let of_step = |step: &StepReport| -> Vec<String> {
        let name = step.step.name;
        step.tally.failures.iter().map(|(kind, count)| format!("{name}: {count} × {kind}")).collect()
    };
    report.steps.iter().flat_map(of_step).collect()
}

/// The same as one JSON object.
pub(crate) fn json(report: &Report) -> String {
    let step = |StepReport { step, tally }: &StepReport| -> Value {
        let failures = tally.failures.iter().map(|(kind, count)| json!({"kind": kind, "count": count}));
        json!({
            "step": step.name,
            "requests": tally.requests,
            "failed": tally.lost(),
            "late": tally.late,
            "p99Millis": tally.p99_ms(),
            "tookMillis": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            "failures": failures.collect::<Vec<_>>(),
        })
    };
    let Target { address, host, path, method, .. } = &report.target;
    let object = json!({
        "apiVersion": API_VERSION,
        "kind": "Verification",
        "metadata": {"name": report.service},
        "spec": {"address": address, "host": host, "path": path, "method": method.as_str()},
        "status": {
            "requests": report.requests(),
            "failed": report.lost(),
            "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
        },
    });
    format!("{object:#}")
}
