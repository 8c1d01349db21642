//! `route`: a text `host/path`, or a list of texts and maps. Pure.

use super::reader::{ManifestReader, YamlField};
use super::{route_filters, shape, tls};
use crate::model::{HostPattern, RedirectAction, Route, RouteMatch};

/// The routes, from whichever form.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<Route>> {
    if let Some(items) = reader.items(field) {
        return Some(items.iter().filter_map(|item| read_item(reader, item)).collect());
    }
    if field.node.text().is_some() {
        return read_text(reader, &field.at("spec.route[0]")).map(|route| vec![route]);
    }
    let message = format!("expected `host/path` or a list, found {}", field.node.kind());
    reader.wrong_but(field, message, "- {host: shop.localhost, path: /api}");
    None
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Route> {
    if item.node.text().is_some() { read_text(reader, item) } else { read_map(reader, item) }
}

fn read_text(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Route> {
    let text = reader.text(field)?;
    for part in ["", ".host", ".path"] {
        reader.spans.insert(format!("{}{part}", field.path), field.span);
    }
    if let Some((_, rest)) = text.split_once("://") {
        reader.wrong_but(field, format!("expected `host/path` without a scheme, found `{text}`"), rest);
        return None;
    }
    let at = text.find('/').unwrap_or(text.len());
    let (host, path) = text.split_at(at);
    let path = if path.is_empty() { "/" } else { path };
    let host = if host.is_empty() { None } else { Some(host.to_owned()) };
    if host.is_none() && text.is_empty() {
        reader.wrong_but(field, "expected `host/path`, found an empty text", "/");
        return None;
    }
    checked(reader, (field, host), (field, path.to_owned()), false)
}

fn read_map(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Route> {
    let block = reader.block(item, &shape::ROUTE)?;
    // Read before host and path, which may end this route, so that problems of the rest are reported.
    let port = block.read(reader, "port", ManifestReader::text);
    let timeout = block.read(reader, "timeout", ManifestReader::quantity);
    let strip_prefix = block.read(reader, "stripPrefix", ManifestReader::flag);
    let exact = block.read(reader, "exact", ManifestReader::flag).unwrap_or_default();
    let matches = block.read(reader, "match", read_match);
    let redirect = block.read(reader, "redirect", read_redirect);
    if redirect.is_none() && block.value("redirect").is_some() {
        // it would need none
        reader.silence(format!("{}.port", item.path));
    }
    let filters = route_filters::read(reader, &block);
    let hold = block.read(reader, "hold", ManifestReader::quantity);
    let idle_timeout = block.read(reader, "idleTimeout", ManifestReader::quantity);
    let upload_timeout = block.read(reader, "uploadTimeout", ManifestReader::quantity);
    let https = tls::read_https(reader, &block);
    let host = block.get(reader, "host");
    let path = block.get(reader, "path");
    if host.is_none() && path.is_none() {
        let unread = ["host", "path"].iter().any(|key| reader.is_spoiled(&format!("{}.{key}", item.path)));
        if !unread {
            reader.wrong_but(item, "`host` or `path` is required", "path: /");
        }
        return None;
    }
    let host_field = host.clone().unwrap_or_else(|| item.clone());
    let path_field = path.clone().unwrap_or_else(|| item.clone());
    let host = match host {
        Some(field) => Some(reader.text(&field)?),
        None => None,
    };
    let path = match path {
        Some(field) => reader.text(&field)?,
        None => "/".to_owned(),
    };
    let route = checked(reader, (&host_field, host), (&path_field, path), exact)?;
    Some(Route {
        exact,
        matches: matches.unwrap_or_default(),
        redirect,
        filters,
        port,
        timeout: timeout.unwrap_or(route.timeout),
        strip_prefix: strip_prefix.unwrap_or_default(),
        hold: hold.unwrap_or(route.hold),
        idle_timeout: idle_timeout.unwrap_or(route.idle_timeout),
        upload_timeout: upload_timeout.unwrap_or(route.upload_timeout),
        tls: https.tls,
        https_redirect: https.redirect,
        hsts: https.hsts,
        ..route
    })
}

fn read_match(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<RouteMatch> {
    let block = reader.block(field, &shape::ROUTE_MATCH)?;
    let values = |reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>| {
        Some(reader.entries(field, ManifestReader::text_or_quotes))
    };
    Some(RouteMatch {
        method: block.read(reader, "method", ManifestReader::text),
        header: block.read(reader, "header", values).unwrap_or_default(),
        cookie: block.read(reader, "cookie", values).unwrap_or_default(),
        query: block.read(reader, "query", values).unwrap_or_default(),
    })
}

fn read_redirect(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<RedirectAction> {
    let block = reader.block(field, &shape::REDIRECT)?;
    let redirect = RedirectAction {
        status: block.read(reader, "status", ManifestReader::number).unwrap_or(RedirectAction::STATUS),
        scheme: block.read(reader, "scheme", ManifestReader::text),
        host: block.read(reader, "host", ManifestReader::text),
        path: block.read(reader, "path", ManifestReader::text),
    };
    Some(redirect)
}

/// Refuses wildcards that are no first label, upper case and trailing slashes, for which it can say what to write instead.
fn checked(
    reader: &mut ManifestReader<'_, '_>,
    (host_field, host): (&YamlField<'_>, Option<String>),
    (path_field, path): (&YamlField<'_>, String),
    exact: bool,
) -> Option<Route> {
    if let Some(host) = &host {
        if host == "*" {
            reader.wrong_but(host_field, "a path alone matches every host; remove `*`", &path);
            return None;
        }
        let lower = host.to_ascii_lowercase();
        if lower != *host {
            reader.wrong_but(host_field, format!("host `{host}` must be in lower case"), lower);
            return None;
        }
        if host.contains('*') && host.parse::<HostPattern>().is_err() {
            let message = format!("host `{host}`: `*` can only be the whole first label of a host name");
            reader.wrong_but(host_field, message, "\"*.shop.localhost\"");
            return None;
        }
    }
    let is_odd = path.contains('*') || (path.ends_with('/') && !exact);
    if path.len() > 1 && is_odd {
        let message =
            format!("path `{path}` must not end with `/` or contain `*`; it matches everything below it");
        let prefix = path.trim_end_matches(['*', '/']);
        match prefix {
            "" => reader.wrong_but(path_field, message, "/"),
            prefix if prefix.contains('*') => reader.wrong(path_field, message),
            prefix => reader.wrong_but(path_field, message, prefix),
        }
        return None;
    }
    Some(Route::to(host, path))
}
