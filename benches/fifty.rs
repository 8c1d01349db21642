//! Fifty running replicas without health checks: what is idle is measured on them, and what is shown.

use crate::daemon::Daemon;
use crate::replicas::manifest;

/// A daemon with fifty replicas, every one ready and routed.
pub(crate) struct Fifty(pub(crate) Daemon);

impl Fifty {
    pub(crate) fn start() -> Self {
        let daemon = Daemon::start();
        let file = manifest(
            &daemon,
            &daemon.image("v1"),
            50,
            "  health: {none: true}\n  rollout: {healthyFor: 0s}\n",
        );
        daemon.expect(0, &["apply", "-f", &file]);
        Self(daemon)
    }
}
