//! `health: /path` and the map. Pure.

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
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
    let exec = block.get(reader, "exec").map(|field| reader.command(&field).map(HealthCheck::Exec));
    let none = block.get(reader, "none").map(|field| only_true(reader, &field).map(HealthCheck::None));
    let mut checks: Vec<Option<HealthCheck>> = [http, tcp, grpc, exec, none].into_iter().flatten().collect();
    if checks.len() > 1 {
        reader.wrong(health, "more than one check; keep one of `http`, `tcp`, `grpc`, `exec` and `none`");
        return None;
    }
    checks.pop().flatten()
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
