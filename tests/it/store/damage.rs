//! A wounded database is refused, or gives back what was in it: never less, and never an empty store.

use std::fs;
use std::path::Path;
use std::time::Duration;

use coxswain::store::{EmbeddedStore, StoreError};

use super::{dump, open, put, write};

/// Flips tried, spread over the file; every byte of it is within this many bytes of one.
const FLIPS: usize = 160;
const CUTS: usize = 24;
/// A hundredth of a second each: a process starts in far less than ten seconds.
const LOCK_TRIES: usize = 1_000;
/// Commits in the small store.
const COMMITS: usize = 40;

/// A small store: the bytes of its files, and what is in it.
struct Image {
    database: Vec<u8>,
    id: Vec<u8>,
    content: Vec<(String, String)>,
}

/// As a stop in order leaves it, or as a machine does that stops at once.
async fn image(stop_in_order: bool) -> Image {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    for n in 0..COMMITS {
        write(&store, vec![put(&format!("services/{n}"), &"x".repeat(200)), put(&format!("s/{n}"), "y")])
            .await;
    }
    let content = dump(&store).await;
    if stop_in_order {
        store.close().await;
    }
    let read = |name| fs::read(dir.path().join(name)).unwrap();
    Image { database: read("store.redb"), id: read("store-id"), content }
}

/// What opening these bytes gives: the content, or `None` where it is refused as damaged.
async fn opened(dir: &Path, database: &[u8], id: &[u8]) -> Option<Vec<(String, String)>> {
    fs::write(dir.join("store.redb"), database).unwrap();
    fs::write(dir.join("store-id"), id).unwrap();
    match open_unlocked(dir).await {
        Ok(store) => {
            let content = dump(&store).await;
            store.close().await;
            Some(content)
        }
        Err(StoreError::Damaged { .. }) => None,
        Err(other) => panic!("refused, but as {other}"),
    }
}

/// Opens a store once its lock is free: a process that another test starts has inherited it until it executes its program.
async fn open_unlocked(dir: &Path) -> Result<EmbeddedStore, StoreError> {
    for _ in 0..LOCK_TRIES {
        match open(dir).await {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened,
        }
    }
    open(dir).await
}

/// Every third byte of the header, which is dense, and a sample of the rest at a stride that is no power of two, so
/// that pages are met at every offset.
fn sampled_offsets(length: usize) -> impl Iterator<Item = usize> {
    (0..320).step_by(3).chain((0..length).step_by((length / FLIPS) | 1))
}

fn flip_a_bit(database: &[u8], offset: usize) -> Vec<u8> {
    let mut wounded = database.to_vec();
    wounded[offset] ^= 1 << (offset % 8);
    wounded
}

#[tokio::test]
async fn open_never_reads_a_flipped_bit_back_as_other_data() {
    let Image { database, id, content } = image(true).await;
    let dir = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for offset in sampled_offsets(database.len()) {
        match opened(dir.path(), &flip_a_bit(&database, offset), &id).await {
            Some(found) => assert_eq!(found, content, "byte {offset}"),
            None => refused += 1,
        }
    }
    assert!(refused > 0, "no flip met anything that matters");
}

/// Two faults at once: the machine stopped and the disk changed what the last commit wrote. That looks like a commit
/// that never ended, so the state before it may come back: one commit of one fsync cannot distinguish the two.
#[tokio::test]
async fn flipped_bit_after_a_crash_costs_at_most_the_last_commit() {
    let Image { database, id, content } = image(false).await;
    let last = |(key, _): &(String, String)| key.ends_with(&format!("/{}", COMMITS - 1));
    let before: Vec<_> = content.iter().filter(|entry| !last(entry)).cloned().collect();
    let dir = tempfile::tempdir().unwrap();
    for offset in sampled_offsets(database.len()) {
        if let Some(found) = opened(dir.path(), &flip_a_bit(&database, offset), &id).await {
            assert!(found == content || found == before, "byte {offset}: {found:?}");
        }
    }
}

#[tokio::test]
async fn open_refuses_a_truncated_database() {
    for stop_in_order in [true, false] {
        let Image { database, id, content } = image(stop_in_order).await;
        let dir = tempfile::tempdir().unwrap();
        for cut in 0..CUTS {
            let length = database.len() * cut / CUTS;
            if let Some(found) = opened(dir.path(), &database[..length], &id).await {
                assert_eq!(found, content, "cut to {length} bytes");
            }
        }
    }
}
