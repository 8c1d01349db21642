//! How a Service is rolled and stopped: `rollout` and `stop`.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::{NumberOrPercent, RolloutPolicy, StopPolicy};

pub(super) fn rollout(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> RolloutPolicy {
    let mut policy = RolloutPolicy::default();
    let Some(block) = reader.block(field, &shape::ROLLOUT) else { return policy };
    if let Some(field) = block.get(reader, "strategy") {
        policy.strategy = reader.choice(&field, &shape::STRATEGY).unwrap_or_default();
    }
    for (key, value) in [("maxSurge", &mut policy.max_surge), ("maxUnavailable", &mut policy.max_unavailable)]
    {
        if let Some(read) = block.get(reader, key).and_then(|field| number_or_percent(reader, &field)) {
            *value = read;
        }
    }
    for (key, value) in [
        ("healthyFor", &mut policy.healthy_for),
        ("deadline", &mut policy.deadline),
        ("drain", &mut policy.drain),
    ] {
        if let Some(read) = block.get(reader, key).and_then(|field| reader.quantity(&field)) {
            *value = read;
        }
    }
    if let Some(field) = block.get(reader, "onFailure") {
        policy.on_failure = reader.choice(&field, &shape::ON_FAILURE).unwrap_or_default();
    }
    if let Some(kept) = block.get(reader, "keepRevisions").and_then(|field| reader.number(&field)) {
        policy.keep_revisions = kept;
    }
    policy
}

/// A count or a percentage; a part of one, such as `0.25`, is told its percentage.
fn number_or_percent(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<NumberOrPercent> {
    let text = field.node.text().unwrap_or("");
    let part = text.strip_prefix("0.").filter(|digits| !digits.is_empty() && digits.len() <= 2);
    if let Some(percent) = part.and_then(|digits| format!("{digits:0<2}").parse::<u32>().ok()) {
        let message = format!("`{text}` is neither a whole number nor a percentage");
        reader.wrong_but(field, message, format!("{percent}%"));
        return None;
    }
    reader.quantity(field)
}

pub(super) fn stop(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> StopPolicy {
    let mut policy = StopPolicy::default();
    let Some(block) = reader.block(field, &shape::STOP) else { return policy };
    if let Some(signal) = block.get(reader, "signal").and_then(|field| reader.text(&field)) {
        policy.signal = signal;
    }
    if let Some(grace) = block.get(reader, "grace").and_then(|field| reader.quantity(&field)) {
        policy.grace = grace;
    }
    policy
}
