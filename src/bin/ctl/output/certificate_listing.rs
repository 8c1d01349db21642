//! The table of `ctl get certificates`. Pure.

use coxswain::api::types::CertificateObject;
use coxswain::model::{CertificateState, sanitize};
use jiff::Timestamp;

use super::listing::{dash, widen};
use super::table::{MARK, TextTable};

/// Broken ones first, then by host.
pub(crate) fn certificates(items: &[CertificateObject], now: Timestamp, wide: bool) -> TextTable {
    let mut sorted: Vec<&CertificateObject> = items.iter().collect();
    sorted.sort_by(|a, b| b.state.is_broken().cmp(&a.state.is_broken()).then_with(|| a.host.cmp(&b.host)));
    let row = |one: &&CertificateObject| {
        let mark = if one.state == CertificateState::Valid { "" } else { MARK };
        vec![
            one.host.clone(),
            mark.to_owned(),
            one.state.to_string(),
            dash(one.not_after.map(|at| end(at, now)).unwrap_or_default()),
            sanitize(&one.source),
            dash(sanitize(one.reason.as_deref().unwrap_or_default())),
        ]
    };
    let mut table = TextTable {
        header: vec!["HOST", "", "STATE", "NOT AFTER", "SOURCE", "REASON"],
        rows: sorted.iter().map(row).collect(),
    };
    let services = |one: &&CertificateObject| {
        dash(one.services.iter().map(|service| service.as_str()).collect::<Vec<_>>().join(", "))
    };
    widen(&mut table, wide, "SERVICES", sorted.iter().map(services));
    let issuer = |one: &&CertificateObject| dash(sanitize(one.issuer.as_deref().unwrap_or_default()));
    widen(&mut table, wide, "ISSUER", sorted.iter().map(issuer));
    table
}

/// `2026-03-01 (29d)`.
fn end(at: Timestamp, now: Timestamp) -> String {
    const DAY: i64 = 24 * 3600;
    let days = (at.as_second() - now.as_second()).div_euclid(DAY);
    let left = if days < 0 { "over".to_owned() } else { format!("{days}d") };
    format!("{} ({left})", at.strftime("%Y-%m-%d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_show_how_long_they_last_and_broken_ones_come_first() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let one = |host: &str, state, end: &str| CertificateObject {
            host: host.to_owned(),
            source: "local CA".to_owned(),
            services: Vec::new(),
            state,
            reason: None,
            not_before: None,
            not_after: Some(end.parse().unwrap()),
            issuer: None,
        };
        let sound = one("a.test", CertificateState::Valid, "2026-01-31T00:00:00Z");
        let over = one("b.test", CertificateState::OutOfDate, "2025-12-31T00:00:00Z");
        let table = certificates(&[sound, over], now, false);
        let rows: Vec<String> = table.rows.iter().map(|row| row[..4].join(" ")).collect();
        assert_eq!(rows, ["b.test ! OutOfDate 2025-12-31 (over)", "a.test  Valid 2026-01-31 (29d)"]);
    }
}
