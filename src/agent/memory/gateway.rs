//! What came of connecting from the apps' networks to the balancer, and when it is tried again. Pure.
//!
//! One answer is enough for as long as the agent runs: a check that repeats while all is well would cost a container each time.
//! Two failures in a row make a condition, because one may be a full queue of the listener. From then on it is tried again until
//! it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::model::{AppName, Backoff, GatewayAnswer, Millis, Mono};

/// Failures in a row that make a condition.
const CONFIRMED: u32 = 2;
/// Wait before the first failure is confirmed.
const CONFIRM_AFTER: Millis = Millis::secs(5);
/// Waits while a failure lasts: a firewall that was changed is noticed within a minute, with the check itself.
const AGAIN: Backoff = Backoff::new(Millis::secs(5), Millis::secs(45));
/// A check that found out nothing is repeated after this long.
const UNKNOWN_AGAIN: Millis = Millis::secs(60);
/// And no more often than this: what it lacks is lacking for good.
const UNKNOWN_MAX: u32 = 3;

/// The last checks of all apps.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct GatewayChecks {
    apps: BTreeMap<AppName, AppChecks>,
}

/// The checks of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AppChecks {
    target: SocketAddr,
    at: Mono,
    last: Option<GatewayAnswer>,
    /// Failures in a row.
    failures: u32,
    /// Checks in a row that found out nothing.
    unknown: u32,
    /// Whether another app was answered after a failure since: this one may be as well.
    is_urgent: bool,
    /// Whether the failure has an event.
    is_reported: bool,
}

/// An app whose containers cannot connect to the balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct UnreachableBalancer<'a> {
    pub(in crate::agent) app: &'a AppName,
    pub(in crate::agent) target: SocketAddr,
    pub(in crate::agent) answer: GatewayAnswer,
    pub(in crate::agent) is_reported: bool,
}

impl GatewayChecks {
    /// When to connect from this app's network to this address; `None`: not again.
    pub(in crate::agent) fn due(&self, app: &AppName, target: SocketAddr) -> Option<Mono> {
        let Some(known) = self.apps.get(app).filter(|known| known.target == target) else {
            return Some(Mono(0));
        };
        match known.failures {
            0 if known.unknown == 0 || known.unknown >= UNKNOWN_MAX => None,
            0 => Some(known.at.after(UNKNOWN_AGAIN)),
            1 => Some(known.at.after(CONFIRM_AFTER)),
            _ if known.is_urgent => Some(Mono(0)),
            // One at a time: what stops one app usually stops all of them.
            n => Some(self.last_failure().after(AGAIN.wait(n - 1))),
        }
    }

    /// When this app was last checked.
    pub(in crate::agent) fn last(&self, app: &AppName) -> Mono {
        self.apps.get(app).map_or(Mono(0), |known| known.at)
    }

    fn last_failure(&self) -> Mono {
        let failing = self.apps.values().filter(|known| known.failures >= CONFIRMED);
        failing.map(|known| known.at).max().unwrap_or_default()
    }

    /// A check has ended; `None` found out nothing.
    pub(in crate::agent) fn checked(
        &mut self,
        app: &AppName,
        target: SocketAddr,
        answer: Option<GatewayAnswer>,
        now: Mono,
    ) {
        let before = self.apps.get(app).filter(|known| known.target == target);
        let (failures, unknown) = before.map_or((0, 0), |known| (known.failures, known.unknown));
        let is_reported = self.apps.get(app).is_some_and(|known| known.is_reported);
        let was_failing = failures >= CONFIRMED;
        let (failures, unknown) = match answer {
            Some(GatewayAnswer::Accepted) => (0, 0),
            Some(GatewayAnswer::Rejected | GatewayAnswer::Silence) => (failures + 1, 0),
            // What was found out before still counts; what was not confirmed does not.
            None if was_failing => (failures, 0),
            None => (0, unknown + 1),
        };
        let last = answer.or(before.and_then(|known| known.last));
        let checks = AppChecks { target, at: now, last, failures, unknown, is_urgent: false, is_reported };
        self.apps.insert(app.clone(), checks);
        if was_failing && failures == 0 {
            self.apps.values_mut().for_each(|known| known.is_urgent = true);
        }
    }

    /// Apps whose containers cannot connect.
    pub(in crate::agent) fn unreachable(&self) -> impl Iterator<Item = UnreachableBalancer<'_>> {
        self.apps.iter().filter(|(_, known)| known.failures >= CONFIRMED).filter_map(|(app, known)| {
            let AppChecks { target, is_reported, .. } = *known;
            Some(UnreachableBalancer { app, target, answer: known.last?, is_reported })
        })
    }

    /// Apps whose containers can connect again, which no event says yet.
    pub(in crate::agent) fn recovered(&self) -> impl Iterator<Item = (&AppName, SocketAddr)> {
        let recovered = self.apps.iter().filter(|(_, known)| known.is_reported && known.failures < CONFIRMED);
        recovered.map(|(app, known)| (app, known.target))
    }

    /// Events about these apps were stored: whether their containers cannot connect.
    pub(in crate::agent) fn reported(&mut self, apps: &BTreeMap<AppName, bool>) {
        for (app, is_reported) in apps {
            if let Some(known) = self.apps.get_mut(app) {
                known.is_reported = *is_reported;
            }
        }
    }

    /// Keeps these apps only.
    pub(in crate::agent) fn retain(&mut self, apps: &BTreeSet<AppName>) {
        self.apps.retain(|app, _| apps.contains(app));
    }
}

#[cfg(test)]
mod tests {
    use GatewayAnswer::{Accepted, Rejected, Silence};

    use super::*;

    fn target() -> SocketAddr {
        ([10, 209, 0, 1], 8080).into()
    }

    fn seconds(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    #[test]
    fn due_depends_on_what_the_last_checks_found() {
        let app = AppName::new("shop");
        let ten = [Some(Silence); 10];
        for (answers, due, unreachable) in [
            (&[][..], Some(0), false),
            (&[Some(Accepted)], None, false),
            (&[Some(Silence)], Some(105), false),
            (&[Some(Silence), Some(Accepted)], None, false),
            (&[Some(Silence), Some(Rejected)], Some(105), true),
            (&[Some(Silence), Some(Silence), Some(Silence)], Some(110), true),
            (&ten, Some(145), true),
            (&[None], Some(160), false),
            (&[None, None, None], None, false),
            (&[None, None, None, Some(Accepted), None], Some(160), false),
            (&[Some(Silence), None], Some(160), false),
            (&[Some(Silence), Some(Silence), None], Some(105), true),
            (&[Some(Silence), Some(Silence), None, Some(Accepted)], None, false),
        ] {
            let mut checks = GatewayChecks::default();
            answers.iter().for_each(|answer| checks.checked(&app, target(), *answer, seconds(100)));
            assert_eq!(checks.due(&app, target()), due.map(seconds), "{answers:?}");
            assert_eq!(checks.unreachable().next().is_some(), unreachable, "{answers:?}");
        }
    }

    #[test]
    fn due_at_once_when_the_address_changes() {
        let app = AppName::new("shop");
        let mut checks = GatewayChecks::default();
        checks.checked(&app, target(), Some(Accepted), seconds(100));
        assert_eq!(checks.due(&app, ([10, 209, 7, 1], 8080).into()), Some(Mono(0)));
    }

    #[test]
    fn due_of_failing_apps_is_one_at_a_time_until_one_is_answered() {
        let (one, two) = (AppName::new("one"), AppName::new("two"));
        let mut checks = GatewayChecks::default();
        for (app, at) in [(&one, 10), (&two, 20), (&one, 30), (&two, 40)] {
            checks.checked(app, target(), Some(Silence), seconds(at));
        }
        assert_eq!(checks.due(&one, target()), Some(seconds(45)), "5 s after the last check of any");
        assert_eq!(checks.due(&two, target()), Some(seconds(45)));
        assert!(checks.last(&one) < checks.last(&two));
        checks.checked(&one, target(), Some(Accepted), seconds(50));
        assert_eq!(checks.due(&one, target()), None);
        assert_eq!(checks.due(&two, target()), Some(Mono(0)), "the firewall was changed");
        checks.checked(&two, target(), Some(Silence), seconds(55));
        assert_eq!(checks.due(&two, target()), Some(seconds(65)), "but not for this app");
    }

    #[test]
    fn recovered_lists_an_app_until_its_event_is_stored() {
        let app = AppName::new("shop");
        let mut checks = GatewayChecks::default();
        for _ in 0..2 {
            checks.checked(&app, target(), Some(Silence), seconds(1));
        }
        assert!(checks.unreachable().any(|found| !found.is_reported));
        checks.reported(&[(app.clone(), true)].into());
        assert!(checks.unreachable().all(|found| found.is_reported));
        assert_eq!(checks.recovered().count(), 0);
        checks.checked(&app, target(), Some(Accepted), seconds(2));
        assert_eq!(checks.recovered().count(), 1);
        checks.reported(&[(app.clone(), false)].into());
        assert_eq!(checks.recovered().count(), 0);
    }
}
