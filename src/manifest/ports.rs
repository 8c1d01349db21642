//! `port: 8080` and `ports: [{name, port, protocol}]`.

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use crate::model::{Port, Protocol};

/// Name of the port that the short form declares.
const SHORT_NAME: &str = "http";

/// The ports of a spec, from whichever form it uses.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, spec: &Block<'_>) -> Vec<Port> {
    let short = spec.get(reader, "port");
    let Some(long) = spec.get(reader, "ports") else {
        return short.and_then(|field| read_short(reader, &field)).into_iter().collect();
    };
    if let Some(field) = short {
        reader.wrong(&field, "`port` and `ports` say the same; keep one of them");
    }
    let Some(items) = reader.items(&long) else {
        reader.wrong_but(&long, "`ports` is a list", "- {name: http, port: 8080}");
        return Vec::new();
    };
    items.iter().filter_map(|item| read_item(reader, item)).collect()
}

fn read_short(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Port> {
    reader.spans.insert("spec.ports".to_owned(), field.span);
    let field = field.at("spec.ports[0].port");
    reader.spans.insert("spec.ports[0].port".to_owned(), field.span);
    let port = read_number(reader, &field)?;
    Some(Port { name: SHORT_NAME.to_owned(), port, protocol: Protocol::Http })
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Port> {
    if let Some(text) = item.node.text() {
        let number = text.rsplit(':').next().unwrap_or(text);
        let message = "a port of the list is a map with a name; nothing is published on the host";
        reader.wrong_but(item, message, format!("{{name: {SHORT_NAME}, port: {number}}}"));
        return None;
    }
    let block = reader.block(item, &shape::PORT)?;
    let name = block.get(reader, "name");
    if name.is_none() && !reader.is_spoiled(&format!("{}.name", item.path)) {
        reader.wrong_but(item, "a port of the list needs a name", format!("name: {SHORT_NAME}"));
    }
    let number = block.get(reader, "port");
    if number.is_none() && !reader.is_spoiled(&format!("{}.port", item.path)) {
        reader.wrong_but(item, "a port needs its number", "port: 8080");
    }
    let protocol = block.get(reader, "protocol").and_then(|field| reader.choice(&field, &shape::PROTOCOL));
    let name = name.and_then(|field| reader.text(&field));
    let number = number.and_then(|field| read_number(reader, &field));
    Some(Port { name: name?, port: number?, protocol: protocol.unwrap_or_default() })
}

fn read_number(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<u16> {
    if let Some((host, container)) = field.node.text().and_then(|text| text.split_once(':')) {
        let message = format!("a port is the container's own; nothing is published on the host's {host}");
        reader.wrong_but(field, message, container);
        return None;
    }
    reader.number(field)
}
