//! The loop that reads the store again when it changes.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::publish::Registry;
use crate::model::key;
use crate::store::{StoreError, WatchEvent};

/// The store is read at least this often, should a watch ever miss a change.
const RESYNC_EVERY: Duration = Duration::from_secs(30);
/// Wait after a failed read.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Registry {
    /// Rebuilds whenever services or endpoints change in the store, and every 30 s, until `shutdown`.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.follow_one_watch() => outcome,
            };
            let Err(error) = outcome else { continue };
            if error == StoreError::Closed {
                return;
            }
            tracing::warn!(%error, "cannot read the store; keeping the last routing table");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Follows until the store asks for a new watch. Changes that arrive during a read are served by one more, not by many.
    async fn follow_one_watch(&self) -> Result<(), StoreError> {
        let from = self.read_and_publish(false).await?.revision + 1;
        let ended = || stream::iter([WatchEvent::Resync]);
        let services = self.store.watch(key::SERVICES, from).await?.chain(ended());
        let endpoints = self.store.watch(key::ENDPOINTS, from).await?.chain(ended());
        let traffic = self.store.watch(key::TRAFFIC, from).await?.chain(ended());
        let mut events = stream::select(stream::select(services, endpoints), traffic);
        loop {
            // Too late is a reason to read, as an event is.
            let mut event = tokio::time::timeout(RESYNC_EVERY, events.next()).await.ok().flatten();
            while let Some(seen) = event {
                if seen == WatchEvent::Resync {
                    return Ok(());
                }
                event = events.next().now_or_never().flatten();
            }
            self.read_and_publish(false).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{World, endpoint, replicas_in};
    use super::*;
    use crate::model::EndpointState::Ready;
    use crate::model::RoutingTable;
    use crate::store::Op;

    /// The next table that holds just these; the clock is paused, so the hour is no time.
    async fn await_table(world: &World, containers: &[&str]) -> u64 {
        let mut tables = world.registry.tables();
        let wanted = |table: &Option<Arc<RoutingTable>>| {
            table.as_deref().map(replicas_in).is_some_and(|(_, found)| found == containers)
        };
        let found = tables.wait_for(wanted);
        let found =
            tokio::time::timeout(Duration::from_secs(3600), found).await.expect("no such table").unwrap();
        found.as_ref().unwrap().name.revision
    }

    #[tokio::test(start_paused = true)]
    async fn following_publishes_every_change_and_a_burst_as_one() {
        let world = World::serving(&[]).await;
        let shutdown = CancellationToken::new();
        let follower = tokio::spawn(world.registry.clone().follow(shutdown.clone()));
        let began = tokio::time::Instant::now();
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        await_table(&world, &["a"]).await;
        world.write(vec![Registry::delete(&"web".into(), &"a".into())]).await;
        let before = await_table(&world, &[]).await;
        let names: Vec<String> = (0..100).map(|n| format!("c{n:03}")).collect();
        let burst = names.iter().map(|c| world.write(vec![Registry::put(&endpoint("web", c, Ready))]));
        futures::future::join_all(burst).await;
        let after = await_table(&world, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(after - before <= 2, "{} tables for one burst", after - before);
        assert!(began.elapsed() < RETRY_AFTER, "the watch brought it, not the clock");
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(1), follower).await.expect("it ends").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn following_reads_all_again_where_the_watch_lost_its_place() {
        let world = World::serving(&[]).await;
        let follower = tokio::spawn(world.registry.clone().follow(CancellationToken::new()));
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        await_table(&world, &["a"]).await;
        let began = tokio::time::Instant::now();
        // One group of commits larger than the history: the follower cannot have seen its first.
        let large = vec![b'x'; 200_000];
        let large = |n: u32| Op::Put { key: format!("events/{n}"), value: large.clone(), lease: None };
        let change = Registry::put(&endpoint("web", "b", Ready));
        let ops = std::iter::once(change).chain((0..100).map(large));
        futures::future::join_all(ops.map(|op| world.write(vec![op]))).await;
        await_table(&world, &["a", "b"]).await;
        assert!(began.elapsed() < RETRY_AFTER, "{:?}", began.elapsed());
        follower.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn following_outlives_a_bad_record_and_ends_with_the_store() {
        let world = World::serving(&["a"]).await;
        world.write(vec![Op::put("endpoints/web/b", &"not an endpoint")]).await;
        let follower = tokio::spawn(world.registry.clone().follow(CancellationToken::new()));
        tokio::time::sleep(RETRY_AFTER * 3).await;
        world.write(vec![Op::delete("endpoints/web/b"), Registry::put(&endpoint("web", "c", Ready))]).await;
        await_table(&world, &["a", "c"]).await;
        world.store.close().await;
        tokio::time::timeout(RESYNC_EVERY, follower).await.expect("it ends").unwrap();
    }
}
