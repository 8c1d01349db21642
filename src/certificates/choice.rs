//! Which certificate of a host serves. Pure.

use jiff::Timestamp;

use super::pair::CertificatePair;
use super::problem::CertificateProblem;
use crate::model::HostPattern;

/// The pair that serves from now on, and what is wrong with the newest one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServingChoice {
    pub(super) serves: Option<CertificatePair>,
    pub(super) problem: Option<CertificateProblem>,
}

/// Takes a newer pair unless it is worse than the one that serves: one that is out of date is better than none, and one for another
/// host is not.
pub(super) fn choose(
    current: Option<CertificatePair>,
    newest: Result<CertificatePair, CertificateProblem>,
    host: &HostPattern,
    path: &str,
    now: Timestamp,
) -> ServingChoice {
    let newest = match newest {
        Ok(newest) => newest,
        Err(problem) => return ServingChoice { serves: current, problem: Some(problem) },
    };
    let Some(fault) = newest.facts.fault(host, path, now) else {
        return ServingChoice { serves: Some(newest), problem: None };
    };
    let is_current_sound =
        current.as_ref().is_some_and(|current| current.facts.fault(host, path, now).is_none());
    let serves = if fault.is_of_time() && !is_current_sound { Some(newest) } else { current };
    ServingChoice { serves, problem: Some(fault) }
}

#[cfg(test)]
mod tests {
    use super::super::local_authority::tests::{leaf, now};
    use super::*;
    use jiff::ToSpan;

    fn host() -> HostPattern {
        "shop.test".parse().unwrap()
    }

    fn at(days: i64) -> Timestamp {
        now() + (24 * days).hours()
    }

    fn chosen(
        current: Option<&CertificatePair>,
        newest: Result<&CertificatePair, CertificateProblem>,
        day: i64,
    ) -> (Option<CertificatePair>, Option<String>) {
        let ServingChoice { serves, problem } =
            choose(current.cloned(), newest.cloned(), &host(), "/etc/shop.pem", at(day));
        (serves, problem.map(|problem| problem.to_string()))
    }

    #[test]
    fn pair_that_serves_is_replaced_by_a_sound_one_only() {
        let old = leaf(&["shop.test"], at(-1), at(5));
        let sound = leaf(&["*.test"], at(-1), at(30));
        let expired = leaf(&["shop.test"], at(-9), at(-1));
        let early = leaf(&["shop.test"], at(2), at(30));
        let other = leaf(&["other.test"], at(-1), at(30));
        let mismatch = || CertificateProblem::Mismatch { cert: "/c".into(), key: "/k".into() };
        assert_eq!(chosen(Some(&old), Ok(&sound), 0), (Some(sound.clone()), None));
        for (newest, reason) in [
            (Ok(&expired), "/etc/shop.pem expired on"),
            (Ok(&early), "/etc/shop.pem is not valid before"),
            (Ok(&other), "/etc/shop.pem is for other.test, not for shop.test"),
            (Err(mismatch()), "the certificate in /c does not match the key in /k"),
        ] {
            let (serves, problem) = chosen(Some(&old), newest, 0);
            assert_eq!(serves.as_ref(), Some(&old), "{reason}");
            assert!(problem.unwrap().starts_with(reason), "{reason}");
        }
    }

    #[test]
    fn certificate_out_of_date_is_better_than_none_or_another_such_and_one_for_another_host_is_not() {
        let expired = leaf(&["shop.test"], at(-9), at(-1));
        let more = leaf(&["shop.test"], at(-9), at(-2));
        let other = leaf(&["other.test"], at(-1), at(30));
        assert_eq!(chosen(None, Ok(&expired), 0).0.as_ref(), Some(&expired));
        assert_eq!(chosen(Some(&more), Ok(&expired), 0).0.as_ref(), Some(&expired));
        assert_eq!(chosen(None, Ok(&other), 0).0, None);
    }
}
