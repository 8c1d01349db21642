//! What a container may use and do: `resources`, `limits`, `security`, `logging`. Pure.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::{ContainerLimits, Logging, MemorySize, Resources, Security};

pub(super) fn resources(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Resources> {
    let block = reader.block(field, &shape::RESOURCES)?;
    Some(Resources {
        cpu: block.read(reader, "cpu", ManifestReader::quantity),
        memory: block.read(reader, "memory", ManifestReader::quantity),
    })
}

pub(super) fn limits(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<ContainerLimits> {
    let block = reader.block(field, &shape::LIMITS)?;
    Some(ContainerLimits { cpu: block.read(reader, "cpu", ManifestReader::quantity) })
}

pub(super) fn security(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Security> {
    let block = reader.block(field, &shape::SECURITY)?;
    let mut security =
        Security { user: block.read(reader, "user", ManifestReader::text), ..Security::default() };
    block.set(reader, "readOnlyRoot", &mut security.read_only_root, ManifestReader::flag);
    block.set(reader, "capAdd", &mut security.cap_add, capabilities);
    block.set(reader, "capDrop", &mut security.cap_drop, capabilities);
    block.set(reader, "groups", &mut security.groups, ManifestReader::texts);
    block.set(reader, "noNewPrivileges", &mut security.no_new_privileges, ManifestReader::flag);
    Some(security)
}

/// Names without Docker's optional `CAP_`, so that one capability has one spelling in the template.
fn capabilities(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<String>> {
    let names = reader.texts(field)?;
    Some(names.into_iter().map(|name| name.strip_prefix("CAP_").unwrap_or(&name).to_owned()).collect())
}

pub(super) fn logging(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Logging> {
    let block = reader.block(field, &shape::LOGGING)?;
    let mut logging = Logging::default();
    block.set(reader, "maxSize", &mut logging.max_size, log_size);
    block.set(reader, "maxFiles", &mut logging.max_files, ManifestReader::number);
    Some(logging)
}

/// A size in Docker's spelling too: `10m` and `1g` are mebibytes and gibibytes in its `max-size`.
fn log_size(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<MemorySize> {
    let text = field.node.text().unwrap_or("");
    let docker = text.strip_suffix('m').map(|n| (n, "Mi")).or(text.strip_suffix('g').map(|n| (n, "Gi")));
    if let Some((number, unit)) = docker
        && let Ok(size) = format!("{number}{unit}").parse()
    {
        return Some(size);
    }
    reader.quantity(field)
}
