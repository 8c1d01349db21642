//! The tables of `ctl get` about nodes: the nodes themselves, and their volumes. Pure.

use coxswain::api::types::{NodeObject, VolumeObject};
use coxswain::model::sanitize;

use super::listing::{dash, widen};
use super::table::{MARK, TextTable};

pub(crate) fn nodes(items: &[NodeObject], wide: bool) -> TextTable {
    let row = |n: &NodeObject| {
        let mark = if n.available { "" } else { MARK };
        vec![n.name.clone(), mark.to_owned(), n.containers.to_string(), sanitize(&n.engine)]
    };
    let mut table =
        TextTable { header: vec!["NODE", "", "CONTAINERS", "ENGINE"], rows: items.iter().map(row).collect() };
    widen(
        &mut table,
        wide,
        "EXPOSURE",
        items.iter().map(|h| dash(h.exposure.map(|r| r.to_string()).unwrap_or_default())),
    );
    widen(&mut table, wide, "ID", items.iter().map(|h| h.id.to_string()));
    table
}

/// Volumes, each with the services that use it.
pub(crate) fn volumes(items: &[VolumeObject], wide: bool) -> TextTable {
    let row = |v: &VolumeObject| {
        let services: Vec<&str> = v.services.iter().map(|service| service.as_str()).collect();
        let declared = match (&v.volume, &v.image_path) {
            (Some(name), _) => name.clone(),
            (None, Some(path)) => format!("{path} (image)"),
            (None, None) => String::new(),
        };
        vec![v.app.to_string(), dash(sanitize(&declared)), dash(services.join(", ")), v.name.clone()]
    };
    let mut table = TextTable {
        header: vec!["APP", "VOLUME", "USED BY", "NAME IN DOCKER"],
        rows: items.iter().map(row).collect(),
    };
    widen(&mut table, wide, "NODE", items.iter().map(|v| v.node.to_string()));
    table
}
