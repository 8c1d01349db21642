//! What a route does besides forwarding: `allow`, `basicAuth`, `maxBodySize`, and edits of headers. Pure.

use std::collections::BTreeMap;

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use crate::model::{BasicAuth, HeaderEdits, RouteFilters, TrustedProxies};

/// The filters of a route, as far as they can be read.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, route: &Block<'_>) -> RouteFilters {
    RouteFilters {
        maintenance: route.read(reader, "maintenance", ManifestReader::flag).unwrap_or_default(),
        error_pages: route.read(reader, "errorPages", read_texts).unwrap_or_default(),
        allow: route.read(reader, "allow", read_ranges).unwrap_or_default(),
        basic_auth: route.read(reader, "basicAuth", read_auth),
        max_body_size: route.read(reader, "maxBodySize", ManifestReader::quantity),
        request_headers: route.read(reader, "requestHeaders", read_edits).unwrap_or_default(),
        response_headers: route.read(reader, "responseHeaders", read_edits).unwrap_or_default(),
    }
}

/// An empty list is refused: it reads like "allows none", and means "allows all" where the key is left out.
fn read_ranges(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<ipnet::IpNet>> {
    let items = reader.list(field, "[10.0.0.0/8]")?;
    if items.is_empty() {
        reader.wrong_but(
            field,
            "the list has no address; remove the key to allow every client",
            "[10.0.0.0/8]",
        );
        return None;
    }
    let ranges = items.iter().filter_map(|item| {
        let text = reader.text(item)?;
        match TrustedProxies::parse_range(&text) {
            Ok(range) => Some(range),
            Err(error) => {
                reader.wrong(item, format!("`{text}`: {error}"));
                None
            }
        }
    });
    Some(ranges.collect())
}

fn read_auth(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<BasicAuth> {
    let block = reader.block(field, &shape::BASIC_AUTH)?;
    let users = block.require(reader, "users", "users: {NAME: HASH}")?;
    Some(BasicAuth {
        realm: block
            .read(reader, "realm", ManifestReader::text)
            .unwrap_or_else(|| BasicAuth::REALM.to_owned()),
        users: reader.entries(&users, ManifestReader::text),
        forward: block.read(reader, "forward", ManifestReader::flag).unwrap_or_default(),
    })
}

fn read_texts(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<BTreeMap<String, String>> {
    Some(reader.entries(field, ManifestReader::text_or_quotes))
}

fn read_edits(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<HeaderEdits> {
    let block = reader.block(field, &shape::HEADER_EDITS)?;
    let edits = HeaderEdits {
        remove: block.read(reader, "remove", ManifestReader::texts).unwrap_or_default(),
        set: block.read(reader, "set", read_texts).unwrap_or_default(),
        add: block.read(reader, "add", read_texts).unwrap_or_default(),
    };
    if ["set", "add", "remove"].iter().all(|key| block.value(key).is_none())
        && !reader.is_spoiled(&field.path)
    {
        reader.wrong_but(field, "`set`, `add` or `remove` is required", "{set: {NAME: value}}");
        return None;
    }
    Some(edits)
}
