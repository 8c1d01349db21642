//! A rollout of 10 replicas to another local image, `maxSurge: 2`, until the old ones are gone, against the same creates,
//! starts, stops and removes made straight to the Engine API: two are made while the two before them are taken away.
//!
//! `healthyFor` is at its least: it is a wait that the user asks for. Each replica is probed, put into rotation,
//! acknowledged, taken out of rotation and acknowledged again all the same; the raw calls do nothing of that.

use std::time::Duration;

use crate::Shared;
use crate::daemon::{Daemon, wait_for};
use crate::figure::{Figure, Pairs, timed};
use crate::raw::Raw;
use crate::replicas::manifest;

const REPLICAS: usize = 10;
const SURGE: usize = 2;
const PAIRS: usize = 5;
const POLICY: &str = "  health: /healthz\n  rollout: {maxSurge: 2, healthyFor: 0s}\n";

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let raw = Raw::new();
    let images = [raw.image("v1"), raw.image("v2")];
    let pairs = Pairs::take(PAIRS, || replaced(&raw, &images), || rolled(&images));
    let what = "a rollout of 10 replicas, `maxSurge: 2` ÷ the same raw calls, median of 5 pairs";
    vec![pairs.at_most(what, 1.3)]
}

fn rolled([v1, v2]: &[String; 2]) -> Duration {
    let daemon = Daemon::start();
    let file = manifest(&daemon, v1, REPLICAS, POLICY);
    daemon.expect(0, &["apply", "-f", &file]);
    let old = daemon.containers("hello", true);
    let (time, _) = timed(|| {
        daemon.expect(0, &["rollout", "hello", "--image", v2]);
        wait_for("the old ones are gone", || {
            let left = daemon.containers("hello", false);
            left.len() == REPLICAS && !left.iter().any(|id| old.contains(id))
        });
    });
    daemon.expect(0, &["delete", "hello", "--yes"]);
    time
}

fn replaced(raw: &Raw, [v1, v2]: &[String; 2]) -> Duration {
    raw.make_network();
    let mut old = raw.run(raw.start_all(v1, 0..REPLICAS, REPLICAS));
    let (time, new) = timed(|| {
        raw.run(async {
            let (mut new, mut leaving) = (Vec::new(), Vec::new());
            for first in (REPLICAS..2 * REPLICAS).step_by(SURGE) {
                let taking = raw.stop_and_remove_all(leaving, SURGE);
                let (made, ()) = tokio::join!(raw.start_all(v2, first..first + SURGE, SURGE), taking);
                new.extend(made);
                leaving = old.split_off(old.len() - SURGE);
            }
            raw.stop_and_remove_all(leaving, SURGE).await;
            new
        })
    });
    raw.run(raw.remove_all(new, REPLICAS));
    raw.remove_network();
    time
}
