//! `health: /path` and the map. Pure.

use std::collections::BTreeMap;

use super::quotes::quoted;
use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use super::tree::YamlValue;
use crate::model::command_form::flow_list;
use crate::model::{Health, HealthCheck};

/// The check, from whichever form. A map with timings alone keeps the default check.
pub(super) fn read(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
    has_port: bool,
) -> Option<Health> {
    if let Some(text) = field.node.text() {
        reader.spans.insert("spec.health.http".to_owned(), field.span);
        if text == "none" {
            reader.wrong_but(
                field,
                "`none` is not a path; to disable the check, write a map",
                "{none: true}",
            );
            return None;
        }
        return Some(Health::with(HealthCheck::Http(text.to_owned())));
    }
    let block = reader.block(field, &shape::HEALTH)?;
    let mut health = Health::default_for(has_port);
    if let Some(check) = read_check(reader, field, &block) {
        health.check = check;
    }
    health.port = block.read(reader, "port", ManifestReader::text);
    health.host = block.read(reader, "host", ManifestReader::text);
    block.set(reader, "headers", &mut health.headers, read_headers);
    block.set(reader, "interval", &mut health.interval, ManifestReader::quantity);
    block.set(reader, "timeout", &mut health.timeout, ManifestReader::quantity);
    block.set(reader, "startWithin", &mut health.start_within, ManifestReader::quantity);
    block.set(reader, "healthyAfter", &mut health.healthy_after, ManifestReader::number);
    block.set(reader, "unhealthyAfter", &mut health.unhealthy_after, ManifestReader::number);
    Some(health)
}

fn read_check(
    reader: &mut ManifestReader<'_, '_>,
    health: &YamlField<'_>,
    block: &Block<'_>,
) -> Option<HealthCheck> {
    let http = block.get(reader, "http").map(|field| reader.text(&field).map(HealthCheck::Http));
    let tcp = block.get(reader, "tcp").map(|field| only_true(reader, &field).map(HealthCheck::Tcp));
    let grpc = block.get(reader, "grpc").map(|field| reader.text(&field).map(HealthCheck::Grpc));
    let exec = block.get(reader, "exec").map(|field| read_command(reader, &field).map(HealthCheck::Exec));
    let none = block.get(reader, "none").map(|field| only_true(reader, &field).map(HealthCheck::None));
    let mut checks: Vec<Option<HealthCheck>> = [http, tcp, grpc, exec, none].into_iter().flatten().collect();
    if checks.len() > 1 {
        reader.wrong(health, "more than one check; keep one of `http`, `tcp`, `grpc`, `exec` and `none`");
        return None;
    }
    checks.pop().flatten()
}

/// A list, or the map of Kubernetes around one.
fn read_command(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<String>> {
    if let Some(inner) = field.node.get("command") {
        let words = YamlField { node: inner, path: field.path.clone(), span: field.span };
        let words = reader.shell_command(&words)?;
        reader.wrong_but(field, "write the list itself, without `command`", flow_list(&words));
        return None;
    }
    reader.shell_command(field)
}

/// A map of names to text; Kubernetes has a list of maps.
fn read_headers(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<BTreeMap<String, String>> {
    if let YamlValue::List(items) = &field.node.value {
        let pair = items.first().and_then(|item| item.get("name")?.text().zip(item.get("value")?.text()));
        let (name, value) = pair.unwrap_or(("X-Forwarded-Proto", "https"));
        let message = "expected a map of names to values, found a list";
        reader.wrong_but(field, message, format!("{name}: {}", quoted(value)));
        return None;
    }
    Some(reader.entries(field, ManifestReader::text_or_quotes))
}

fn only_true(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<bool> {
    let value = reader.flag(field)?;
    if !value {
        reader.wrong_but(
            field,
            "expected `true`, found `false`; remove the key to use another check",
            "true",
        );
    }
    value.then_some(true)
}
