//! `tls` and `hsts` of a route. Pure.

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use crate::model::{AutoWord, Hsts, RouteTls};

/// HTTPS of a route.
pub(super) struct RouteHttpsKeys {
    pub(super) tls: Option<RouteTls>,
    pub(super) redirect: bool,
    pub(super) hsts: Option<Hsts>,
}

/// The keys of a route about HTTPS; the others mean nothing without `tls`.
pub(super) fn read_https(reader: &mut ManifestReader<'_, '_>, route: &Block<'_>) -> RouteHttpsKeys {
    let tls = route.read(reader, "tls", read);
    let redirect = route.read(reader, "httpsRedirect", ManifestReader::flag);
    let hsts = route.read(reader, "hsts", read_hsts);
    for key in ["httpsRedirect", "hsts"] {
        if route.value("tls").is_none()
            && let Some(field) = route.get(reader, key)
        {
            reader.wrong(&field, format!("`{key}` needs `tls`"));
        }
    }
    let is_secure = tls.is_some();
    RouteHttpsKeys {
        tls,
        redirect: redirect.filter(|_| is_secure).unwrap_or(true),
        hsts: hsts.filter(|_| is_secure),
    }
}

/// Where the certificate comes from: the word `auto`, or a map.
fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<RouteTls> {
    if field.node.text().is_some() {
        return reader.choice::<AutoWord>(field, &shape::TLS_WORD).map(RouteTls::Word);
    }
    let block = reader.block(field, &shape::ROUTE_TLS)?;
    let cert = block.require(reader, "cert", "cert: /etc/ssl/shop.pem").and_then(|field| reader.text(&field));
    let key = block.require(reader, "key", "key: /etc/ssl/shop.key").and_then(|field| reader.text(&field));
    Some(RouteTls::Files { cert: cert?, key: key? })
}

/// The header that browsers keep.
fn read_hsts(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Hsts> {
    let block = reader.block(field, &shape::HSTS)?;
    let mut hsts = Hsts::default();
    block.set(reader, "maxAge", &mut hsts.max_age, ManifestReader::quantity);
    block.set(reader, "includeSubdomains", &mut hsts.include_subdomains, ManifestReader::flag);
    Some(hsts)
}
