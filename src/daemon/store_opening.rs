//! Opens the controller's store, or says why it cannot be used: damaged, or not the one that the running containers belong to.

use std::sync::Arc;

use anyhow::Context;

use super::ServeOptions;
use super::unavailable_store::UnavailableStore;
use crate::agent;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::model::{NodeId, StoreId};
use crate::store::{EmbeddedStore, LeftStores, Store, StoreError};

/// The store; or why it cannot be used.
pub(super) async fn open_store(
    options: &ServeOptions,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Result<Arc<EmbeddedStore>, UnavailableStore>> {
    let dir = &options.state_dir;
    let mut opened = EmbeddedStore::open(dir, Arc::clone(clock)).await;
    if let (Err(StoreError::Damaged { .. } | StoreError::TooNew { .. }), true) = (&opened, options.new_store)
    {
        EmbeddedStore::stage(dir, clock.as_ref(), None).await?;
        opened = EmbeddedStore::open(dir, Arc::clone(clock)).await;
    }
    match opened {
        Ok(store) => Ok(Ok(Arc::new(store))),
        // its holder is about to end
        Err(error @ StoreError::Locked { .. }) => Err(error.into()),
        Err(error) => {
            let may_pass = !matches!(error, StoreError::Damaged { .. } | StoreError::TooNew { .. });
            Ok(Err(UnavailableStore { reason: error.to_string(), may_pass }))
        }
    }
}

/// How containers name this daemon: node and state directory.
pub(super) fn instance(node: Option<&(NodeId, String)>, options: &ServeOptions) -> String {
    let node = node.map(|(id, _)| id.to_string()).unwrap_or_default();
    format!("{node}:{}", options.state_dir.display())
}

fn named((store, container): (StoreId, String)) -> String {
    format!("{container} (store {store})")
}

/// Why the store must not be used: containers of another store of this directory run, and the user did not leave them.
pub(super) async fn foreign_containers(
    engine: &dyn Engine,
    instance: &str,
    store: &EmbeddedStore,
    options: &ServeOptions,
) -> anyhow::Result<Option<UnavailableStore>> {
    let foreign = agent::containers_of_other_stores(engine, instance, &store.identity().id).await;
    let left = LeftStores::new(&options.state_dir);
    left.remove(&store.identity().id)?;
    let Some(foreign) = foreign.context("cannot list the containers of this node")? else { return Ok(None) };
    if options.new_store || left.is_announced() {
        left.add(&foreign.iter().map(|(store, _)| store.clone()).collect())?;
        return Ok(None);
    }
    let known = left.read()?;
    let names: Vec<String> =
        foreign.into_iter().filter(|(store, _)| !known.contains(store)).map(named).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let dir = options.state_dir.display();
    let reason = format!(
        "the store in {dir} is not the one that these running containers of this directory belong to: {} (CTL-0504)",
        names.join(", ")
    );
    Ok(Some(UnavailableStore { reason, may_pass: false }))
}
