//! The `spec` of a Service: every key of it to the model, defaults filled in. Pure.

use crate::manifest::reader::{Block, ManifestReader, YamlField, covers};
use crate::manifest::{container, env, health, policy, ports, routes, shape, volumes};
use crate::model::{Balance, Health, Problem, ServiceSpec};

/// The spec as far as it can be read. What is reported is replaced by its default, so that the rest can be checked.
pub(in crate::manifest) fn read(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<ServiceSpec> {
    let block = reader.block(field, &shape::SPEC)?;
    let mut spec = ServiceSpec::of_image(read_image(reader, field, &block).unwrap_or_default());
    if let Some(field) = block.get(reader, "pull") {
        spec.pull = reader.choice(&field, &shape::PULL).unwrap_or_default();
    }
    if let Some(field) = block.get(reader, "replicas") {
        if field.node.text() == Some("perHost") {
            reader.not_yet(&field, "perHost");
        } else {
            spec.replicas = reader.number(&field);
        }
    }
    spec.entrypoint = block.get(reader, "entrypoint").and_then(|f| reader.texts(&f));
    spec.command = block.get(reader, "command").and_then(|f| reader.texts(&f));
    spec.ports = ports::read(reader, &block);
    if let Some(field) = block.get(reader, "route") {
        spec.routes = routes::read(reader, &field);
    }
    if let Some(field) = block.get(reader, "balance") {
        spec.balance = read_balance(reader, &field).unwrap_or_default();
    }
    spec.health = match block.get(reader, "health") {
        Some(field) => health::read(reader, &field, !spec.ports.is_empty()),
        None => Health::default_for(!spec.ports.is_empty()),
    };
    if let Some(field) = block.get(reader, "env") {
        spec.env = env::read(reader, &field);
    }
    if let Some(field) = block.get(reader, "volumes") {
        spec.volumes = volumes::read(reader, &field);
    }
    read_container(reader, &block, &mut spec);
    Some(spec)
}

fn read_container(reader: &mut ManifestReader<'_, '_>, block: &Block<'_>, spec: &mut ServiceSpec) {
    if let Some(field) = block.get(reader, "resources") {
        spec.resources = container::resources(reader, &field);
    }
    if let Some(field) = block.get(reader, "limits") {
        spec.limits = container::limits(reader, &field);
    }
    if let Some(field) = block.get(reader, "rollout") {
        spec.rollout = policy::rollout(reader, &field);
    }
    if let Some(field) = block.get(reader, "stop") {
        spec.stop = policy::stop(reader, &field);
    }
    if let Some(field) = block.get(reader, "security") {
        spec.security = container::security(reader, &field);
    }
    if let Some(field) = block.get(reader, "logging") {
        spec.logging = container::logging(reader, &field);
    }
    if let Some(field) = block.get(reader, "labels") {
        spec.labels = reader.entries(&field, env::read_text);
    }
}

fn read_image(
    reader: &mut ManifestReader<'_, '_>,
    spec: &YamlField<'_>,
    block: &Block<'_>,
) -> Option<String> {
    if let Some(field) = block.get(reader, "image") {
        return reader.text(&field);
    }
    // What runs elsewhere has no image; that it is not supported yet has been said.
    if ["external", "registration"].iter().any(|key| block.has(key)) {
        reader.silence("spec.image");
    } else if !reader.is_spoiled("spec.image") {
        let problem =
            Problem::new("spec.image", "a service needs an image to run").suggest("image: name:tag");
        reader.report(spec.span, problem);
    }
    None
}

fn read_balance(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Balance> {
    if field.node.get("hash").is_some() {
        reader.not_yet(field, "hash");
        return None;
    }
    reader.choice(field, &shape::BALANCE)
}

/// What the user should know of the defaults that were filled in.
pub(in crate::manifest) fn notes(document: &Block<'_>, spec: &ServiceSpec) -> Vec<String> {
    match (document.value("spec").and_then(|s| s.get("health")), spec.ports.first()) {
        (None, Some(port)) => {
            vec![format!("no `health` is given: a TCP connect to port {} decides", port.port)]
        }
        _ => Vec::new(),
    }
}

/// A problem of a port that only follows from ports that could not be read.
pub(in crate::manifest) fn follows(reader: &ManifestReader<'_, '_>, problem: &Problem) -> bool {
    let about_a_port = covers("spec.route", &problem.path) && problem.path.ends_with(".port")
        || ["spec.health", "spec.health.port"].contains(&problem.path.as_str());
    about_a_port && (reader.is_spoiled("spec.ports") || reader.is_spoiled("spec.port"))
}
