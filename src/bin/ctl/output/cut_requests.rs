//! Requests that were cut, in a line per drain time. Pure.

use std::collections::BTreeMap;

use coxswain::api::types::CutRequestsDetail;
use coxswain::model::Millis;

/// Replicas that a line names; of more, the number of the others.
const NAMED: usize = 3;

/// `! 3 requests were cut after drain: 10s (web-4-a)`; none if no request was cut.
pub(crate) fn lines(cut: &[CutRequestsDetail]) -> Vec<String> {
    let mut by_drain: BTreeMap<Option<Millis>, Vec<&CutRequestsDetail>> = BTreeMap::new();
    for of_replica in cut {
        by_drain.entry(of_replica.drain).or_default().push(of_replica);
    }
    by_drain.into_iter().map(|(drain, cut)| line(drain, &cut)).collect()
}

fn line(drain: Option<Millis>, cut: &[&CutRequestsDetail]) -> String {
    let known: u64 = cut.iter().filter_map(|cut| cut.requests).sum();
    let is_known = cut.iter().all(|cut| cut.requests.is_some());
    let requests = match (known, is_known) {
        (1, true) => "1 request was".to_owned(),
        (n, true) => format!("{n} requests were"),
        (0, false) => "an unknown number of requests was".to_owned(),
        (n, false) => format!("at least {n} requests were"),
    };
    let when = match drain {
        Some(drain) => format!("after drain: {drain}"),
        None => "in containers off their network".to_owned(),
    };
    let named: Vec<&str> = cut.iter().take(NAMED).map(|cut| cut.replica.as_str()).collect();
    let others = cut.len() - named.len();
    let others = if others == 0 { String::new() } else { format!(" and {others} more") };
    format!("! {requests} cut {when} ({}{others})", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_sum_up_the_replicas_of_a_drain_time() {
        let cut = |replica: &str, requests: Option<u64>, drain: Option<u64>| CutRequestsDetail {
            replica: replica.into(),
            requests,
            drain: drain.map(Millis::secs),
        };
        let ten = Some(10);
        for (given, expected) in [
            (vec![], vec![]),
            (vec![cut("web-4-a", Some(1), ten)], vec!["! 1 request was cut after drain: 10s (web-4-a)"]),
            (
                vec![cut("a", Some(3), ten), cut("b", Some(1), ten), cut("c", Some(1), Some(2))],
                vec![
                    "! 1 request was cut after drain: 2s (c)",
                    "! 4 requests were cut after drain: 10s (a, b)",
                ],
            ),
            (
                ["a", "b", "c", "d", "e"].map(|name| cut(name, Some(2), ten)).to_vec(),
                vec!["! 10 requests were cut after drain: 10s (a, b, c and 2 more)"],
            ),
            (vec![cut("a", None, ten)], vec!["! an unknown number of requests was cut after drain: 10s (a)"]),
            (
                vec![cut("a", None, ten), cut("b", Some(2), ten)],
                vec!["! at least 2 requests were cut after drain: 10s (a, b)"],
            ),
            (
                vec![cut("a", Some(2), None)],
                vec!["! 2 requests were cut in containers off their network (a)"],
            ),
        ] {
            assert_eq!(lines(&given), expected);
        }
    }
}
