//! `listen` of a port: a number, `address:port`, or a map. Pure.

use std::net::{IpAddr, SocketAddr};

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::TcpListen;

/// Where the balancer listens, from whichever form.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<TcpListen> {
    let Some(text) = field.node.text() else { return read_map(reader, field) };
    for part in ["address", "port"] {
        reader.spans.insert(format!("{}.{part}", field.path), field.span);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return reader.number(field).map(TcpListen::on);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(TcpListen { address: socket.ip(), ..TcpListen::on(socket.port()) });
    }
    let message = format!("expected a port of the node or `address:port`, found `{text}`");
    match text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(port) => reader.wrong_but(field, message, port.to_string()),
        None => reader.wrong(field, message),
    }
    None
}

fn read_map(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<TcpListen> {
    let block = reader.block(field, &shape::LISTEN)?;
    let address = block.read(reader, "address", read_address);
    let hold = block.read(reader, "hold", ManifestReader::quantity);
    let idle_timeout = block.read(reader, "idleTimeout", ManifestReader::quantity);
    let port = block.require(reader, "port", "port: 5432").and_then(|field| reader.number(&field));
    let listen = TcpListen::on(port?);
    Some(TcpListen {
        address: address.unwrap_or(listen.address),
        hold: hold.unwrap_or(listen.hold),
        idle_timeout: idle_timeout.unwrap_or(listen.idle_timeout),
        ..listen
    })
}

fn read_address(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<IpAddr> {
    let text = reader.text(field)?;
    let address = text.parse().ok();
    if address.is_none() {
        reader.wrong_but(field, format!("expected an IP address, found `{text}`"), "127.0.0.1");
    }
    address
}
