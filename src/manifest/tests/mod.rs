//! Tables of cases: what is read, and for each rule its message and the place that it points at.

mod blocks;
mod foreign;
mod forms;
mod pasted;
mod refused;

use super::agreement::complaints;
use super::{Document, Finding, ManifestSource, parse};
use crate::model::{Problem, ServiceSpec};

fn run(text: &str) -> Result<Vec<Document>, Vec<Finding>> {
    parse(&[ManifestSource::new("app.yaml", text)])
}

/// A document around the lines of a spec; the first of them is line 6.
fn with_spec(lines: &str) -> String {
    let spec: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("apiVersion: coxswain/v1\nkind: Service\nmetadata:\n  name: web\nspec:\n{spec}")
}

fn service(document: &Document) -> &ServiceSpec {
    document.spec.as_service().expect("a service")
}

fn spec(lines: &str) -> ServiceSpec {
    let documents = run(&with_spec(lines)).unwrap_or_else(|f| panic!("{lines}\n{}", shown(&f)));
    assert_eq!(documents.len(), 1, "{lines}");
    assert_eq!(complaints(&with_spec(lines)).unwrap_or_default(), Vec::<String>::new(), "{lines}");
    service(&documents[0]).clone()
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{f}\n")).collect()
}

/// Each row: spec lines, and per finding `line:column path | message | suggestion`, from which parts may be left out
/// at the end.
fn refused(rows: &[(&str, &[&str])]) {
    let mut failures = Vec::new();
    for (lines, want) in rows {
        let got: Vec<String> = run(&with_spec(lines)).err().unwrap_or_default().iter().map(row).collect();
        let same = got.len() == want.len() && got.iter().zip(*want).all(|(got, want)| got.starts_with(want));
        if !same {
            failures.push(format!("{lines}\n got: {got:#?}\nwant: {want:#?}"));
        }
        let beyond = got.iter().any(|row| BEYOND_A_SCHEMA.iter().any(|(part, _)| row.contains(part)));
        if !beyond && complaints(&with_spec(lines)).is_some_and(|found| found.is_empty()) {
            failures.push(format!("{lines}\n the schema takes it: {got:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Parts of messages of rules that a schema cannot express, with the reason. The schema has to refuse every other row.
const BEYOND_A_SCHEMA: [(&str, &str); 18] = [
    ("`protocol: tcp`", "a key that depends on the value of another one"),
    ("only `!!str` is allowed", "tags are gone when a schema sees a value"),
    ("U+", "a schema cannot tell a plain value from a quoted one"),
    ("found `3.0`", "to JSON it is the number 3"),
    ("found `010`", "to YAML it is a number"),
    ("both 0", "joins two keys and their defaults"),
    ("must be longer than healthyFor", "joins two keys and their defaults"),
    ("must not be lower than the reserved cpu", "joins two blocks"),
    ("needs a port", "joins two keys of the spec, and what is below them"),
    ("unknown port", "joins two blocks"),
    ("duplicate route", "compares the items of a list by a part of each"),
    ("a request can match both", "compares the items of a list by a part of each"),
    ("the list has no address", "a list without items is sound elsewhere"),
    ("has bits set", "arithmetic"),
    ("too weak", "the form of a hash is not a pattern that an editor should explain"),
    ("set by the balancer", "names in upper and lower case are the same"),
    ("is not a redirect", "303 is between the others"),
    ("must not contain `//`", "`..` is a segment and `a..b` is not"),
];

fn row(finding: &Finding) -> String {
    let Problem { path, message, suggestion } = &finding.problem;
    let span = finding.place.span;
    let suggestion = suggestion.as_deref().unwrap_or("-");
    format!("{}:{} {path} | {message} | {suggestion}", span.line, span.column)
}
