//! What a daemon asks the Engine before it runs the agent: which node this is, and whose containers it has.
//!
//! Invariants: no answer is waited for longer than [`ANSWER_MAX`], because the API and the plane wait for the start.
//! Deliberately absent: whether to start at all (the daemon's).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::Agent;
use crate::engine::{Engine, EngineError, EngineInfo, LABEL_INSTANCE, LABEL_STORE, has_label, is_of_store};
use crate::model::{Millis, NodeId, StoreId, key};
use crate::store::{Op, Store, StoreError, Txn};

/// How long a start waits for an answer of the Engine; afterwards the agent keeps asking.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How often a node without an id asks its Engine.
const FIRST_CONTACT_EVERY: Millis = Millis(500);

/// The node's id and name: the Engine's, or the stored ones while it does not answer. `None` if it never has.
///
/// # Errors
/// The store's.
pub async fn identify_node(
    store: &dyn Store,
    engine: &dyn Engine,
) -> Result<Option<(NodeId, String)>, StoreError> {
    match in_time("info", engine.info()).await {
        Ok(info) => record_identity(store, info).await.map(Some),
        Err(error) => {
            tracing::warn!(%error, "Docker does not answer; the balancer serves its last table meanwhile");
            stored_identity(store).await
        }
    }
}

/// Stores and names of the containers of this instance (node and state directory) that belong to another store: a daemon that finds
/// any must not start unless the user wants a new store. `None` while the Engine is away, or the node is not known yet: containers of
/// another store are never touched anyway, and a store that knows its node is not new.
///
/// # Errors
/// The Engine's, if it answers.
pub async fn containers_of_other_stores(
    engine: &dyn Engine,
    instance: &str,
    store: &StoreId,
) -> Result<Option<Vec<(StoreId, String)>>, EngineError> {
    if instance.starts_with(':') {
        return Ok(None);
    }
    let containers = match in_time("list", engine.list()).await {
        Ok(containers) => containers,
        Err(error) if error.is_away() => return Ok(None),
        Err(error) => return Err(error),
    };
    let foreign = containers.into_iter().filter(|container| {
        has_label(&container.labels, LABEL_INSTANCE, instance) && !is_of_store(&container.labels, store)
    });
    let named = foreign.map(|container| {
        let store = container.labels.get(LABEL_STORE).map_or("", String::as_str);
        (StoreId::new(store), container.name)
    });
    Ok(Some(named.collect()))
}

impl Agent {
    /// Asks the Engine of a node without an id until it answers, and stores the id: a daemon that starts after this can run
    /// its agent. Returns early at `shutdown`.
    ///
    /// # Errors
    /// The store's.
    pub async fn wait_for_first_answer(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        loop {
            let asked = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                asked = self.engine.info() => asked,
            };
            match asked {
                Ok(info) => return record_identity(self.store.as_ref(), info).await.map(|_| ()),
                Err(error) => self.waits_for_engine(error),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(FIRST_CONTACT_EVERY.std()) => {}
            }
        }
    }
}

async fn in_time<T>(
    call: &'static str,
    answer: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    tokio::time::timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {ANSWER_MAX:?}");
        Err(EngineError::Unanswered { call, message })
    })
}

async fn record_identity(store: &dyn Store, info: EngineInfo) -> Result<(NodeId, String), StoreError> {
    let identity = (NodeId::new(info.id), info.name);
    if stored_identity(store).await?.as_ref() != Some(&identity) {
        let op = Op::put(key::node_identity(&identity.0), &identity);
        store.txn(Txn { compare: Vec::new(), ops: vec![op] }).await?;
    }
    Ok(identity)
}

/// The identity that was written last: an embedded store has one node, unless its Engine was reinstalled.
async fn stored_identity(store: &dyn Store) -> Result<Option<(NodeId, String)>, StoreError> {
    let entries = store.list(key::AGENTS).await?.entries;
    let identities = entries.into_iter().filter(|entry| key::is_node_identity(&entry.key));
    let latest = identities.max_by_key(|entry| entry.mod_revision);
    latest.map(|entry| entry.decode()).transpose()
}
