//! `ctl get` with 50 replicas: the whole command, from its start to its end.

use crate::Shared;
use crate::fifty::Fifty;
use crate::figure::{Figure, median, millis, timed};

const RUNS: usize = 20;

pub(crate) fn measure(shared: &Shared) -> Vec<Figure> {
    let Fifty(daemon) = shared.get_or_init(Fifty::start);
    let run = |args: &[&str]| {
        let times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let (time, (out, _)) = timed(|| daemon.expect(0, args));
                assert!(out.lines().count() > 1, "{out}");
                millis(time)
            })
            .collect();
        median(&times)
    };
    let figure = |what: &str, time| Figure::at_most(what, time, 50.0, "ms", "");
    vec![
        figure("`ctl get` with 50 replicas, median of 20", run(&["get"])),
        figure("`ctl get replicas` with 50 replicas, median of 20", run(&["get", "replicas"])),
    ]
}
