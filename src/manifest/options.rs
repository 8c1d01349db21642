//! Names, kernel settings and devices of a container: `hostname`, `tmpfs`, `ulimits` and their like. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use super::tree::YamlValue;
use crate::model::{
    ContainerOptions, Dns, GatewayWord, HostAddress, TMPFS_SIZE, Tmpfs, Ulimit, UlimitValue, UnlimitedWord,
};

/// The options among the keys of a spec.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, spec: &Block<'_>) -> ContainerOptions {
    let mut options = ContainerOptions {
        hostname: spec.read(reader, "hostname", ManifestReader::text),
        working_dir: spec.read(reader, "workingDir", ManifestReader::text),
        shm_size: spec.read(reader, "shmSize", ManifestReader::quantity),
        ..ContainerOptions::default()
    };
    spec.set(reader, "init", &mut options.init, ManifestReader::flag);
    spec.set(reader, "tmpfs", &mut options.tmpfs, read_tmpfs);
    spec.set(reader, "ulimits", &mut options.ulimits, read_ulimits);
    spec.set(reader, "sysctls", &mut options.sysctls, read_sysctls);
    spec.set(reader, "pidsLimit", &mut options.pids_limit, ManifestReader::number);
    spec.set(reader, "extraHosts", &mut options.extra_hosts, read_hosts);
    spec.set(reader, "dns", &mut options.dns, read_dns);
    spec.set(reader, "devices", &mut options.devices, ManifestReader::texts);
    options
}

/// A tmpfs, for suggestions.
const TMPFS_EXAMPLE: &str = "- {path: /cache, size: 64Mi}";

fn read_tmpfs(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<Tmpfs>> {
    let items = reader.list(field, TMPFS_EXAMPLE)?;
    Some(items.iter().filter_map(|item| read_tmpfs_item(reader, item)).collect())
}

fn read_tmpfs_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Tmpfs> {
    if let Some(text) = item.node.text() {
        let path = text.split(':').next().unwrap_or(text);
        let message = format!("expected a map with `path` and `size`, found `{text}`");
        match path.starts_with('/') {
            true => reader.wrong_but(item, message, format!("{{path: {path}, size: 64Mi}}")),
            false => reader.wrong_but(item, message, TMPFS_EXAMPLE),
        }
        return None;
    }
    let block = reader.block(item, &shape::TMPFS_SHAPE)?;
    let path = block.require(reader, "path", "path: /cache").and_then(|field| reader.text(&field));
    let mut size = TMPFS_SIZE;
    block.set(reader, "size", &mut size, ManifestReader::quantity);
    Some(Tmpfs { path: path?, size })
}

fn read_ulimits(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<BTreeMap<String, Ulimit>> {
    Some(reader.entries(field, read_ulimit))
}

fn read_ulimit(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Ulimit> {
    if !matches!(field.node.value, YamlValue::Map(_)) {
        let limit = read_limit(reader, field)?;
        return Some(Ulimit { soft: limit, hard: limit });
    }
    let block = reader.block(field, &shape::ULIMIT)?;
    let soft = block.require(reader, "soft", "soft: 1024").and_then(|field| read_limit(reader, &field));
    let hard = block.require(reader, "hard", "hard: 1024").and_then(|field| read_limit(reader, &field));
    Some(Ulimit { soft: soft?, hard: hard? })
}

fn read_limit(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<UlimitValue> {
    match field.node.text() {
        Some("unlimited") => Some(UlimitValue::Word(UnlimitedWord::Unlimited)),
        Some("-1") => {
            reader.wrong_but(field, "expected a number or `unlimited`, found `-1`", "unlimited");
            None
        }
        _ => reader.number(field).map(UlimitValue::Number),
    }
}

fn read_sysctls(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<BTreeMap<String, String>> {
    if let Some((name, value)) = first_pair(field, '=') {
        let message = "expected a map of names to values, found a list";
        reader.wrong_but(field, message, format!("{name}: \"{value}\""));
        return None;
    }
    Some(reader.entries(field, ManifestReader::text))
}

fn read_hosts(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<BTreeMap<String, HostAddress>> {
    if let Some((name, value)) = first_pair(field, '=').or_else(|| first_pair(field, ':')) {
        let message = "expected a map of names to addresses, found a list";
        reader.wrong_but(field, message, format!("{name}: \"{value}\""));
        return None;
    }
    Some(reader.entries(field, read_address))
}

/// Name and value of the first item of a list, as Compose writes it.
fn first_pair<'t>(field: &YamlField<'t>, separator: char) -> Option<(&'t str, &'t str)> {
    match &field.node.value {
        YamlValue::List(items) => items.first()?.text()?.split_once(separator),
        _ => None,
    }
}

fn read_address(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<HostAddress> {
    let text = reader.text(field)?;
    if text == "host-gateway" {
        return Some(HostAddress::Word(GatewayWord::HostGateway));
    }
    let address: Option<IpAddr> = text.parse().ok();
    if address.is_none() {
        reader.wrong(field, format!("expected an IP address or `host-gateway`, found `{text}`"));
    }
    address.map(HostAddress::Address)
}

fn read_dns(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Dns> {
    if reader.items(field).is_some() {
        return read_servers(reader, field).map(|servers| Dns { servers, ..Dns::default() });
    }
    if let Some(text) = field.node.text() {
        reader.wrong_but(field, "expected a list of addresses", format!("[{text}]"));
        return None;
    }
    let block = reader.block(field, &shape::DNS)?;
    let mut dns = Dns::default();
    block.set(reader, "servers", &mut dns.servers, read_servers);
    block.set(reader, "search", &mut dns.search, ManifestReader::texts);
    block.set(reader, "options", &mut dns.options, ManifestReader::texts);
    Some(dns)
}

fn read_servers(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<IpAddr>> {
    let items = reader.list(field, "[10.0.0.2]")?;
    let mut servers = Vec::new();
    for item in &items {
        let text = reader.text(item)?;
        match text.parse() {
            Ok(address) => servers.push(address),
            Err(_) => reader.wrong(item, format!("expected an IP address, found `{text}`")),
        }
    }
    Some(servers)
}
