//! A controller whose store cannot be used: it answers that much, and waits until the store was replaced or mended.
//!
//! The balancer serves its last table meanwhile: after a reboot that one has routes only, because no container of it runs any
//! more, and requests are answered with 503 instead of being refused.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::ServeOptions;
use crate::api;
use crate::clock::Clock;
use crate::controller::{DaemonControl, KeptStore, StoreKeeper};
use crate::model::Millis;

/// Time between two looks at the store's files; a user who mended them by hand does not wait for longer.
const LOOK_EVERY: Millis = Millis::secs(1);
/// A store that could not be read is tried again after this long: a full or busy disk mends itself.
const TRY_AGAIN: Millis = Millis::secs(10);

/// Why the store cannot be used.
#[derive(Debug)]
pub(super) struct UnavailableStore {
    pub(super) reason: String,
    /// Whether it may become usable without a change of its files.
    pub(super) may_pass: bool,
}

impl UnavailableStore {
    /// Answers on the API's socket until there is a reason to open the store again.
    pub(super) async fn wait(
        self,
        api: UnixListener,
        daemon: Arc<dyn DaemonControl>,
        options: &ServeOptions,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        tracing::error!("{}; waiting for another store, see `ctl store`", self.reason);
        let seen = files(&options.state_dir);
        let keeper = Arc::new(StoreKeeper {
            directory: options.state_dir.clone(),
            kept: KeptStore::Unavailable(self.reason),
            started: clock.mono(),
            clock,
            restart: shutdown.clone(),
            replacing: Arc::default(),
        });
        api.set_nonblocking(true)?;
        let api = tokio::net::UnixListener::from_std(api)?;
        let tries_again = async {
            match self.may_pass {
                true => tokio::time::sleep(TRY_AGAIN.std()).await,
                false => std::future::pending().await,
            }
        };
        let changed = async {
            while files(&options.state_dir) == seen {
                tokio::time::sleep(LOOK_EVERY.std()).await;
            }
        };
        let served = api::server::serve_without_store(api, keeper, daemon, shutdown.clone());
        tokio::select! {
            served = served => Ok(served?),
            () = tries_again => Ok(()),
            () = changed => Ok(()),
        }
    }
}

/// The files that decide which store there is, with what changes when one is replaced.
fn files(dir: &Path) -> Vec<(PathBuf, Option<(SystemTime, u64)>)> {
    let of = |name: &str| {
        let path = dir.join(name);
        let found =
            std::fs::metadata(&path).ok().and_then(|found| Some((found.modified().ok()?, found.len())));
        (path, found)
    };
    ["store.redb", "store.redb.staged", "store-id"].map(of).into()
}
