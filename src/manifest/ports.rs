//! `port: 8080` and `ports: [{name, port, protocol}]`. Pure.

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
        reader.wrong(&field, "`port` is the short form of `ports`; keep one of them");
    }
    let items = reader.list(&long, "- {name: http, port: 8080}").unwrap_or_default();
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
        let message = format!("expected a map with `name` and `port`, found `{text}`");
        reader.wrong_but(item, message, format!("{{name: {SHORT_NAME}, port: {number}}}"));
        return None;
    }
    let block = reader.block(item, &shape::PORT)?;
    let name = block.require(reader, "name", "name: http").and_then(|field| reader.text(&field));
    let number = block.require(reader, "port", "port: 8080").and_then(|field| read_number(reader, &field));
    let mut protocol = Protocol::default();
    block.set(reader, "protocol", &mut protocol, |reader, field| reader.choice(field, &shape::PROTOCOL));
    Some(Port { name: name?, port: number?, protocol })
}

fn read_number(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<u16> {
    if let Some((published, container)) = field.node.text().and_then(|text| text.split_once(':')) {
        let message =
            format!("port {published} of the node cannot be published; clients use the service's `route`");
        reader.wrong_but(field, message, container);
        return None;
    }
    reader.number(field)
}
