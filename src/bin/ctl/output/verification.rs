//! The result of `ctl verify` as a table and as JSON. Pure.

use std::time::Duration;

use coxswain::manifest::API_VERSION;
use coxswain::model::ServiceName;
use serde_json::{Value, json};

use super::style::Style;
use super::table::TextTable;
use crate::load::{LoadTarget, RequestTally};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepTiming {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
}

/// A step with the answers to the requests that started in it, and the failures that happened in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub(crate) step: StepTiming,
    pub(crate) tally: RequestTally,
}

#[derive(Debug, Clone)]
pub(crate) struct VerificationReport {
    pub(crate) service: ServiceName,
    pub(crate) target: LoadTarget,
    pub(crate) steps: Vec<StepReport>,
}

impl VerificationReport {
    pub(crate) fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.tally.requests).sum()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.steps.iter().map(|step| step.tally.lost()).sum()
    }
}

pub(crate) fn text(report: &VerificationReport, style: Style) -> String {
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
    let table = TextTable {
        header: vec!["STEP", "", "REQUESTS", "FAILED", "LATE", "P99", "TOOK"],
        rows: rows.collect(),
    };
    table.render(style)
}

/// Each kind of failure of each step, with its count: `kill: 3 × 502 Bad Gateway`.
pub(crate) fn kinds(report: &VerificationReport) -> Vec<String> {
    let of_step = |step: &StepReport| -> Vec<String> {
        let name = step.step.name;
        step.tally.failures.iter().map(|(kind, count)| format!("{name}: {count} × {kind}")).collect()
    };
    report.steps.iter().flat_map(of_step).collect()
}

pub(crate) fn json(report: &VerificationReport) -> String {
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
    let LoadTarget { address, host, path, method, .. } = &report.target;
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
