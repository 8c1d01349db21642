//! Checks, copies and replaces the store of this daemon, also while it cannot be opened.
//!
//! A replacement is staged; then the controller ends, and its successor starts from the new store. The old one is set aside, and
//! containers of other stores are left alone.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::queries::{DaemonSnapshot, NodeSnapshot};
use crate::agent::AgentState;
use crate::clock::Clock;
use crate::model::{Condition, ConnectionStats, Millis, Mono, Reason, StoreId};
use crate::store::{EmbeddedStore, LeftStores, Listing, SnapshotError, Store, StoreCopy, StoreError};

/// What there is to say about the store of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCheck {
    pub directory: String,
    /// `None` if it cannot be read.
    pub store: Option<StoreId>,
    pub revision: u64,
    pub entries: usize,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// Why an operation on the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreKeepingError {
    /// There is no content to copy.
    #[error("the store cannot be opened: {0}")]
    Unavailable(String),
    #[error("cannot use the snapshot: {0}")]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store, open or not.
pub enum KeptStore {
    Open(Arc<EmbeddedStore>),
    /// It cannot be opened, or must not be used, for this reason.
    Unavailable(String),
}

/// The keeper of one state directory.
pub struct StoreKeeper {
    pub directory: PathBuf,
    pub kept: KeptStore,
    pub clock: Arc<dyn Clock>,
    /// When this controller started.
    pub started: Mono,
    /// Ends the controller, whose successor opens what was staged.
    pub restart: CancellationToken,
    /// Held by the replacement that is under way.
    pub replacing: Arc<Mutex<()>>,
}

/// A replacement of the store.
struct Replacement {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    restart: CancellationToken,
}

impl Replacement {
    async fn carry_out(
        self,
        snapshot: Option<StoreCopy>,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(), StoreKeepingError> {
        let left = LeftStores::new(&self.directory);
        let was_announced = left.is_announced();
        left.announce()?;
        if let Err(error) = EmbeddedStore::stage(&self.directory, &*self.clock, snapshot).await {
            if !was_announced {
                left.withdraw()?;
            }
            return Err(error.into());
        }
        tokio::spawn(async move {
            // After the answer: a client whose answer is lost would ask again.
            tokio::time::sleep(ANSWER_FIRST.std()).await;
            self.restart.cancel();
            // The next in turn would stage over this one: the turn ends with the controller.
            std::future::pending::<()>().await;
            drop(turn);
        });
        Ok(())
    }
}

impl StoreKeeper {
    /// Why the store cannot be used.
    pub fn problem(&self) -> Option<&str> {
        match &self.kept {
            KeptStore::Open(_) => None,
            KeptStore::Unavailable(reason) => Some(reason),
        }
    }

    /// The state of a daemon whose store cannot be used.
    pub fn status(&self) -> DaemonSnapshot {
        let message = format!(
            "{}; traffic is served from the last routing table, nothing is changed; see `ctl store`",
            self.problem().unwrap_or_default()
        );
        DaemonSnapshot {
            uptime: self.clock.mono().since(self.started),
            store: StoreId::new(""),
            store_revision: 0,
            node: NodeSnapshot { id: "".into(), state: AgentState::default() },
            table: None,
            acknowledged: None,
            balancers: Vec::new(),
            connections: ConnectionStats::default(),
            held_requests: 0,
            http: Vec::new(),
            https: Vec::new(),
            services: 0,
            conditions: vec![Condition::degraded(Reason::StoreUnavailable, message)],
        }
    }

    /// Reads everything.
    pub fn check(&self) -> StoreCheck {
        let directory = self.directory.display().to_string();
        match self.read() {
            Ok((store, content)) => StoreCheck {
                directory,
                store: Some(store),
                revision: content.revision,
                entries: content.entries.len(),
                problem: None,
            },
            Err(problem) => StoreCheck {
                directory,
                store: None,
                revision: 0,
                entries: 0,
                problem: Some(problem.to_string()),
            },
        }
    }

    /// The whole store in one file.
    ///
    /// # Errors
    /// [`StoreKeepingError::Unavailable`], or the store's.
    pub fn snapshot(&self) -> Result<Vec<u8>, StoreKeepingError> {
        let (store, content) = self.read()?;
        Ok(StoreCopy { store, content }.to_bytes()?)
    }

    /// Puts a snapshot in the place of the store, and ends this controller.
    ///
    /// # Errors
    /// The snapshot cannot be used, or the file system failed; nothing was changed then.
    pub async fn restore(&self, bytes: &[u8]) -> Result<StoreId, StoreKeepingError> {
        let snapshot = StoreCopy::from_bytes(bytes)?;
        let store = snapshot.store.clone();
        self.replace(Some(snapshot)).await?;
        Ok(store)
    }

    /// Puts an empty store in the place of the store, and ends this controller.
    ///
    /// # Errors
    /// The file system failed; nothing was changed then.
    pub async fn start_new(&self) -> Result<(), StoreKeepingError> {
        self.replace(None).await
    }

    /// In a task of its own: a client that leaves must not stop it half-way, with a store staged that comes into force at some
    /// later restart.
    async fn replace(&self, snapshot: Option<StoreCopy>) -> Result<(), StoreKeepingError> {
        let replacement = Replacement {
            directory: self.directory.clone(),
            clock: Arc::clone(&self.clock),
            restart: self.restart.clone(),
        };
        let turn = Arc::clone(&self.replacing);
        let replaced =
            tokio::spawn(async move { replacement.carry_out(snapshot, turn.lock_owned().await).await });
        replaced.await.unwrap_or_else(|error| Err(StoreError::Io(error.to_string()).into()))
    }

    fn read(&self) -> Result<(StoreId, Listing), StoreKeepingError> {
        match &self.kept {
            KeptStore::Open(store) => Ok((store.identity().id.clone(), store.list_now("")?)),
            KeptStore::Unavailable(reason) => Err(StoreKeepingError::Unavailable(reason.clone())),
        }
    }
}

/// Between the answer to a replacement and the end of the controller.
const ANSWER_FIRST: Millis = Millis(100);
