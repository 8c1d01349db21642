//! How a Service is rolled and stopped: `rollout` and `stop`. Pure.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::{NumberOrPercent, RolloutPolicy, StopPolicy};

pub(super) fn rollout(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<RolloutPolicy> {
    let block = reader.block(field, &shape::ROLLOUT)?;
    let mut policy = RolloutPolicy::default();
    block.set(reader, "strategy", &mut policy.strategy, |reader, field| {
        reader.choice(field, &shape::STRATEGY)
    });
    block.set(reader, "maxSurge", &mut policy.max_surge, number_or_percent);
    block.set(reader, "maxUnavailable", &mut policy.max_unavailable, number_or_percent);
    block.set(reader, "healthyFor", &mut policy.healthy_for, ManifestReader::quantity);
    block.set(reader, "deadline", &mut policy.deadline, ManifestReader::quantity);
    block.set(reader, "failFast", &mut policy.fail_fast, ManifestReader::flag);
    block.set(reader, "drain", &mut policy.drain, ManifestReader::quantity);
    block.set(reader, "onFailure", &mut policy.on_failure, |reader, field| {
        reader.choice(field, &shape::ON_FAILURE)
    });
    block.set(reader, "keepRevisions", &mut policy.keep_revisions, ManifestReader::number);
    Some(policy)
}

/// A count or a percentage. For a fraction such as `0.25` the percentage is suggested.
fn number_or_percent(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<NumberOrPercent> {
    let text = field.node.text().unwrap_or("");
    let fraction = text.strip_prefix("0.").filter(|digits| !digits.is_empty() && digits.len() <= 2);
    if let Some(percent) = fraction.and_then(|digits| format!("{digits:0<2}").parse::<u32>().ok()) {
        let message = format!("expected a whole number or a percentage, found `{text}`");
        reader.wrong_but(field, message, format!("{percent}%"));
        return None;
    }
    reader.quantity(field)
}

pub(super) fn stop(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<StopPolicy> {
    let block = reader.block(field, &shape::STOP)?;
    let signal = block.read(reader, "signal", ManifestReader::text);
    let mut policy = StopPolicy { signal, ..StopPolicy::default() };
    block.set(reader, "grace", &mut policy.grace, ManifestReader::quantity);
    Some(policy)
}
