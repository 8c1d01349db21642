//! `health: /path` and the map.

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use crate::model::{Health, HealthCheck};

/// The check, from whichever form. A map that says only timings keeps the default check.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>, has_port: bool) -> Health {
    let default = Health::default_for(has_port);
    if let Some(text) = field.node.text() {
        reader.spans.insert("spec.health.http".to_owned(), field.span);
        if text == "none" {
            reader.wrong_but(field, "no check is a map", "{none: true}");
            return default;
        }
        return Health::with(HealthCheck::Http(text.to_owned()));
    }
    let Some(block) = reader.block(field, &shape::HEALTH) else { return default };
    let mut health = Health { check: read_check(reader, field, &block).unwrap_or(default.check), ..default };
    health.port = block.get(reader, "port").and_then(|field| reader.text(&field));
    for (key, value) in [
        ("interval", &mut health.interval),
        ("timeout", &mut health.timeout),
        ("startWithin", &mut health.start_within),
    ] {
        if let Some(read) = block.get(reader, key).and_then(|field| reader.quantity(&field)) {
            *value = read;
        }
    }
    for (key, value) in
        [("healthyAfter", &mut health.healthy_after), ("unhealthyAfter", &mut health.unhealthy_after)]
    {
        if let Some(read) = block.get(reader, key).and_then(|field| reader.number(&field)) {
            *value = read;
        }
    }
    health
}

fn read_check(
    reader: &mut ManifestReader<'_, '_>,
    health: &YamlField<'_>,
    block: &Block<'_>,
) -> Option<HealthCheck> {
    let http = block.get(reader, "http").map(|field| reader.text(&field).map(HealthCheck::Http));
    let tcp = block.get(reader, "tcp").map(|field| only_true(reader, &field).map(HealthCheck::Tcp));
    let grpc = block.get(reader, "grpc").map(|field| reader.text(&field).map(HealthCheck::Grpc));
    let exec = block.get(reader, "exec").map(|field| reader.texts(&field).map(HealthCheck::Exec));
    let none = block.get(reader, "none").map(|field| only_true(reader, &field).map(HealthCheck::None));
    let mut said: Vec<Option<HealthCheck>> = [http, tcp, grpc, exec, none].into_iter().flatten().collect();
    if said.len() > 1 {
        reader.wrong(health, "one check at most: `http`, `tcp`, `grpc`, `exec` or `none`");
        return None;
    }
    said.pop().flatten()
}

fn only_true(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<bool> {
    let value = reader.flag(field)?;
    if !value {
        reader.wrong_but(field, "leave the key out instead of saying `false`", "true");
    }
    value.then_some(true)
}
