//! The embedded store's files: made once, locked, opened again, refused when something is wrong with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use coxswain::clock::RealClock;
use coxswain::model::Epoch;
use coxswain::store::{EmbeddedStore, Op, Store, StoreCopy, StoreError, WatchEvent};
use futures::StreamExt;

use super::{dump, open, put, write};

async fn store_with(dir: &Path, keys: &[&str]) {
    let store = open(dir).await.unwrap();
    for key in keys {
        write(&store, vec![put(key, "x")]).await;
    }
    store.close().await;
}

#[tokio::test]
async fn open_keeps_everything_and_raises_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/by/open");
    store_with(&dir, &["a", "b"]).await;
    let store = open(&dir).await.unwrap();
    let id = store.identity().id.clone();
    let epoch = store.identity().epoch;
    assert!(epoch > Epoch(1_700_000_000_000), "a file that was put back may have counted less");
    assert_eq!(store.list("").await.unwrap().revision, 2);
    assert_eq!(write(&store, vec![put("c", "x")]).await, 3);
    store.close().await;

    let store = open(&dir).await.unwrap();
    assert_eq!(store.identity().id, id);
    assert!(store.identity().epoch > epoch, "it is raised by every opening");
    assert_eq!(dump(&store).await, ["a", "b", "c"].map(|key| (key.to_owned(), "x".to_owned())));
    let mut before = store.watch("", 3).await.unwrap();
    assert_eq!(before.next().await, Some(WatchEvent::Resync), "history is from this opening only");
}

#[tokio::test]
async fn second_open_is_refused_and_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    let locked = StoreError::Locked { dir: dir.path().display().to_string(), pid: Some(std::process::id()) };
    assert_eq!(open(dir.path()).await.err(), Some(locked));
    first.close().await;
    assert!(open(dir.path()).await.is_ok());
}

#[tokio::test]
async fn closed_store_returns_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let mut watch = store.watch("", 1).await.unwrap();
    store.close().await;
    assert_eq!(store.get("a").await, Err(StoreError::Closed));
    assert_eq!(store.txn(Default::default()).await, Err(StoreError::Closed));
    assert_eq!(store.grant_lease(Duration::from_secs(1)).await, Err(StoreError::Closed));
    assert_eq!(store.watch("", 1).await.err(), Some(StoreError::Closed));
    assert_eq!(watch.next().await, Some(WatchEvent::Resync));
}

#[tokio::test]
async fn store_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    store_with(dir.path(), &["a"]).await;
    for name in ["store-id", "store.redb", "store.lock"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn open_refuses_files_that_do_not_belong_together() {
    type Wound = fn(&Path);
    let rows: [(&str, Wound, &str); 6] = [
        ("database gone", |d| fs::remove_file(d.join("store.redb")).unwrap(), "missing"),
        ("database empty", |d| fs::write(d.join("store.redb"), "").unwrap(), ""),
        ("not a database", |d| fs::write(d.join("store.redb"), "hello".repeat(9999)).unwrap(), ""),
        ("id of another", |d| fs::write(d.join("store-id"), format!("{:032}\n", 7)).unwrap(), "names"),
        ("id empty", |d| fs::write(d.join("store-id"), "").unwrap(), "UUID"),
        ("id cut short", |d| fs::write(d.join("store-id"), "0123").unwrap(), "UUID"),
    ];
    for (what, wound, said) in rows {
        let dir = tempfile::tempdir().unwrap();
        store_with(dir.path(), &["a"]).await;
        wound(dir.path());
        for _ in 0..2 {
            match open(dir.path()).await.err() {
                Some(StoreError::Damaged { reason, .. }) => {
                    assert!(reason.contains(said), "{what}: {reason}")
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn open_recovers_after_a_stop_during_creation() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("store.redb.new"), "half a database").unwrap();
    store_with(dir.path(), &["a"]).await;
    fs::remove_file(dir.path().join("store-id")).unwrap();
    let store = open(dir.path()).await.unwrap();
    assert_eq!(dump(&store).await, [("a".to_owned(), "x".to_owned())]);
    let id = fs::read_to_string(dir.path().join("store-id")).unwrap();
    assert_eq!(id.trim(), store.identity().id.as_str());
}

#[tokio::test]
async fn open_refuses_a_later_schema() {
    let dir = tempfile::tempdir().unwrap();
    store_with(dir.path(), &["a"]).await;
    let path = dir.path().join("store.redb");
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
    txn.open_table(numbers).unwrap().insert("schema", 9).unwrap();
    txn.commit().unwrap();
    drop(database);
    let too_new = StoreError::TooNew { path: path.display().to_string(), found: 9, known: 1 };
    assert_eq!(open(dir.path()).await.err(), Some(too_new));
}

#[tokio::test(start_paused = true)]
async fn leases_have_their_full_time_after_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let lease = store.grant_lease(Duration::from_secs(10)).await.unwrap();
    write(&store, vec![Op::Put { key: "a".into(), value: vec![], lease: Some(lease) }]).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    store.close().await;

    let store = open(dir.path()).await.unwrap();
    let mut watch = store.watch("", 2).await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(store.get("a").await.unwrap().is_some());
    let Some(WatchEvent::Changes { revision: 2, .. }) = watch.next().await else { panic!("no lapse") };
    assert_eq!(store.get("a").await, Ok(None));
    assert_ne!(store.grant_lease(Duration::from_secs(10)).await, Ok(lease), "ids are not used again");
}

#[tokio::test]
async fn staged_store_takes_the_place_at_the_next_opening_and_the_old_one_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    store_with(dir.path(), &["a", "b"]).await;
    let store = open(dir.path()).await.unwrap();
    let first = store.identity().clone();
    let content = store.list("").await.unwrap();
    let snapshot = StoreCopy { store: first.id.clone(), content };
    store.close().await;
    let clock = RealClock::new();
    EmbeddedStore::stage(dir.path(), &clock, None).await.unwrap();
    let empty = open(dir.path()).await.unwrap();
    assert_ne!(empty.identity().id, first.id);
    assert_eq!(empty.list("").await.unwrap().entries, []);
    empty.close().await;

    EmbeddedStore::stage(dir.path(), &clock, Some(snapshot.clone())).await.unwrap();
    // A crash in the middle: the id is gone, the old database is aside, the new one is not in place.
    fs::remove_file(dir.path().join("store-id")).unwrap();
    fs::rename(dir.path().join("store.redb"), dir.path().join("store.redb.aside-2")).unwrap();
    let restored = open(dir.path()).await.unwrap();
    assert_eq!(restored.identity().id, first.id);
    assert!(restored.identity().epoch > first.epoch, "balancers take its tables");
    assert_eq!(restored.list("").await.unwrap(), snapshot.content);
    assert_eq!(write(&restored, vec![put("c", "x")]).await, 3, "revisions continue");
    restored.close().await;
    assert!(dir.path().join("store.redb.aside-1").exists());
    assert_eq!(open(dir.path()).await.unwrap().identity().id, first.id);
}
