//! `port: 8080` and `ports: [{name, port, protocol, listen}]`. Pure.

use super::listen;
use super::port_text::PortText;
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
    items.iter().enumerate().filter_map(|(index, item)| read_item(reader, item, index)).collect()
}

fn read_short(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Port> {
    reader.spans.insert("spec.ports".to_owned(), field.span);
    let field = field.at("spec.ports[0].port");
    reader.spans.insert("spec.ports[0].port".to_owned(), field.span);
    let port = read_number(reader, &field)?;
    Some(Port { name: SHORT_NAME.to_owned(), port, protocol: Protocol::Http, listen: None })
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>, index: usize) -> Option<Port> {
    if let Some(text) = item.node.text() {
        report_text(reader, item, text, index);
        return None;
    }
    let block = reader.block(item, &shape::PORT)?;
    let name = block.require(reader, "name", "name: http").and_then(|field| reader.text(&field));
    let number = block.require(reader, "port", "port: 8080").and_then(|field| read_number(reader, &field));
    let listen = block.read(reader, "listen", listen::read);
    let mut protocol = if listen.is_some() { Protocol::Tcp } else { Protocol::default() };
    block.set(reader, "protocol", &mut protocol, |reader, field| reader.choice(field, &shape::PROTOCOL));
    Some(Port { name: name?, port: number?, protocol, listen })
}

fn report_text(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>, text: &str, index: usize) {
    let port = PortText::parse(text);
    let message = match port.as_ref().and_then(|port| port.other_protocol) {
        Some(protocol) => format!("protocol `{protocol}` is not supported yet; a port serves HTTP or TCP"),
        None => format!("expected a map with `name` and `port`, found `{text}`"),
    };
    match port {
        Some(port) => reader.wrong_but(item, message, port.suggestion(index, SHORT_NAME)),
        None => reader.wrong(item, message),
    }
}

fn read_number(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<u16> {
    let text = field.node.text().unwrap_or_default();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = PortText::parse(text).filter(|_| !is_number) else { return reader.number(field) };
    let message = match (port.other_protocol, port.published) {
        (Some(protocol), _) => {
            format!("protocol `{protocol}` is not supported yet; a port serves HTTP or TCP")
        }
        (None, Some(published)) => {
            format!(
                "port {published} of the node is named under `ports[].listen` for TCP; HTTP clients use the service's `route`"
            )
        }
        (None, None) => format!("expected a port, found `{text}`"),
    };
    let write = port.only().map_or_else(|| port.suggestion(0, SHORT_NAME), |port| port.to_string());
    reader.wrong_but(field, message, write);
    None
}
