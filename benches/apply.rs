//! `ctl apply` of 20 replicas until all are ready and routed, against 20 create and start calls made straight to the
//! Engine API, 8 at a time. Both include the creation of a network, neither its removal.

use std::time::Duration;

use crate::Shared;
use crate::daemon::Daemon;
use crate::figure::{Figure, Pairs, timed};
use crate::raw::Raw;
use crate::replicas::manifest;

const REPLICAS: usize = 20;
const PARALLEL: usize = 8;
const PAIRS: usize = 5;

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let raw = Raw::new();
    let image = raw.image("v1");
    let pairs = Pairs::take(PAIRS, || create_and_start(&raw, &image), || applied(&image));
    let what = "`ctl apply` of 20 replicas to ready and routed ÷ 20 raw create+start, median of 5 pairs";
    vec![pairs.at_most(what, 1.15)]
}

fn create_and_start(raw: &Raw, image: &str) -> Duration {
    let (time, ids) = timed(|| {
        raw.make_network();
        raw.run(raw.start_all(image, 0..REPLICAS, PARALLEL))
    });
    raw.run(raw.remove_all(ids, PARALLEL));
    raw.remove_network();
    time
}

/// One apply, by a daemon that has made nothing yet; it takes away what it made, outside the time.
fn applied(image: &str) -> Duration {
    let daemon = Daemon::start();
    let file = manifest(&daemon, image, REPLICAS, "  health: /healthz\n  rollout: {healthyFor: 0s}\n");
    let (time, _) = timed(|| daemon.expect(0, &["apply", "-f", &file]));
    assert_eq!(daemon.containers("hello", true).len(), REPLICAS);
    daemon.expect(0, &["delete", "hello", "--yes"]);
    time
}
