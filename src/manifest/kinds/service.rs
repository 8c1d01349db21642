//! The `spec` of a Service: every key of it to the model, defaults filled in. Pure.

use crate::manifest::field_path::covers;
use crate::manifest::reader::{Block, ManifestReader, YamlField};
use crate::manifest::{container, env, health, options, policy, ports, routes, shape, volumes};
use crate::model::{Balance, Health, Problem, ServiceSpec};

/// The spec as far as it can be read. A value that is reported is replaced by its default, so that the rest can be checked.
pub(in crate::manifest) fn read(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<ServiceSpec> {
    let block = reader.block(field, &shape::SPEC)?;
    let mut spec = ServiceSpec::of_image(read_image(reader, &block).unwrap_or_default());
    block.set(reader, "pull", &mut spec.pull, |reader, field| reader.choice(field, &shape::PULL));
    spec.replicas = block.read(reader, "replicas", read_replicas);
    spec.entrypoint = block.read(reader, "entrypoint", ManifestReader::shell_command);
    spec.command = block.read(reader, "command", ManifestReader::arguments);
    spec.ports = ports::read(reader, &block);
    let has_port = !spec.ports.is_empty();
    block.set(reader, "route", &mut spec.routes, routes::read);
    block.set(reader, "balance", &mut spec.balance, read_balance);
    spec.health = Health::default_for(has_port);
    block.set(reader, "health", &mut spec.health, |reader, field| health::read(reader, field, has_port));
    block.set(reader, "env", &mut spec.env, |reader, field| Some(env::read(reader, field)));
    block.set(reader, "volumes", &mut spec.volumes, volumes::read);
    block.set(reader, "resources", &mut spec.resources, container::resources);
    block.set(reader, "limits", &mut spec.limits, container::limits);
    block.set(reader, "rollout", &mut spec.rollout, policy::rollout);
    block.set(reader, "stop", &mut spec.stop, policy::stop);
    block.set(reader, "security", &mut spec.security, container::security);
    block.set(reader, "logging", &mut spec.logging, container::logging);
    spec.options = options::read(reader, &block);
    block.set(reader, "labels", &mut spec.labels, |reader, field| {
        Some(reader.entries(field, ManifestReader::text_or_quotes))
    });
    Some(spec)
}

fn read_image(reader: &mut ManifestReader<'_, '_>, spec: &Block<'_>) -> Option<String> {
    // A service that runs elsewhere has no image; that it is not supported yet is reported.
    if ["external", "registration"].iter().any(|key| spec.value(key).is_some()) {
        reader.silence("spec.image");
    }
    let field = spec.require(reader, "image", "image: name:tag")?;
    reader.text(&field)
}

fn read_replicas(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<u32> {
    if field.node.text() == Some("perNode") {
        reader.not_yet(field, "perNode");
        return None;
    }
    reader.number(field)
}

fn read_balance(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Balance> {
    if field.node.get("hash").is_some() {
        reader.not_yet(field, "hash");
        return None;
    }
    reader.choice(field, &shape::BALANCE)
}

/// Defaults that the user should know of.
pub(in crate::manifest) fn notes(document: &Block<'_>, spec: &ServiceSpec) -> Vec<String> {
    match (document.value("spec").and_then(|s| s.get("health")), spec.ports.first()) {
        (None, Some(port)) => {
            vec![format!("no `health`: a replica is ready when port {} accepts a TCP connection", port.port)]
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
