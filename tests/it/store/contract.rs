//! What every backend promises. A test takes an empty store; `contract!` runs it on each backend.

use std::time::Duration;

use coxswain::store::{
    Change, Compare, EmbeddedStore, KEY_MAX_BYTES, LeaseId, Op, Store, StoreError, TXN_MAX_BYTES,
    TXN_MAX_OPS, Txn, TxnOutcome, WatchEvent,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use super::{dump, open, put, write};

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                let clock = std::sync::Arc::new(coxswain::clock::RealClock::new());
                super::$test(&super::EmbeddedStore::in_memory(clock).unwrap()).await;
            })*
        }
        mod on_disk {
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                let dir = tempfile::tempdir().unwrap();
                super::$test(&super::open(dir.path()).await.unwrap()).await;
            })*
        }
    };
}

contract!(
    txn_is_committed_only_if_its_comparisons_hold,
    txn_is_all_or_nothing,
    entry_has_the_revisions_of_its_creation_and_last_change,
    list_is_sorted_and_has_only_its_prefix,
    txn_over_a_limit_is_rejected,
    txn_without_a_change_raises_no_revision,
    concurrent_txns_get_distinct_revisions,
    one_of_many_concurrent_claims_wins,
    watch_delivers_whole_txns_in_order,
    watch_replays_from_a_kept_revision_and_resyncs_from_a_forgotten_one,
    lapsed_lease_deletes_its_keys_in_one_txn,
    lease_is_kept_while_it_is_renewed,
    revoked_lease_deletes_its_keys,
    key_belongs_to_its_last_lease_only,
    txn_with_an_unknown_lease_is_rejected,
);

fn on_lease(key: &str, lease: LeaseId) -> Op {
    Op::Put { key: key.to_owned(), value: b"x".to_vec(), lease: Some(lease) }
}

fn delete(key: &str) -> Op {
    Op::delete(key)
}

/// `+key` and `-key` of the next event, with its revision.
async fn next(watch: &mut BoxStream<'static, WatchEvent>) -> (u64, Vec<String>) {
    match tokio::time::timeout(Duration::from_secs(3600), watch.next()).await {
        Ok(Some(WatchEvent::Changes { revision, changes })) => {
            (revision, changes.iter().map(change_text).collect())
        }
        other => panic!("no changes but {other:?}"),
    }
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Put(entry) => format!("+{}", entry.key),
        Change::Delete { key } => format!("-{key}"),
    }
}

async fn txn_is_committed_only_if_its_comparisons_hold(store: &dyn Store) {
    let revision = write(store, vec![put("k", "v")]).await;
    let key = |text: &str| text.to_owned();
    let rows = [
        (Compare::Absent(key("k")), false),
        (Compare::Absent(key("other")), true),
        (Compare::ModRevision(key("k"), revision), true),
        (Compare::ModRevision(key("k"), revision + 1), false),
        (Compare::ModRevision(key("other"), revision), false),
        (Compare::ModRevision(key("other"), 0), false),
    ];
    for (compare, blockers) in rows {
        let outcome = store.txn(Txn { compare: vec![compare.clone()], ops: vec![] }).await.unwrap();
        let expected = match blockers {
            true => TxnOutcome::Committed { revision },
            false => TxnOutcome::Conflict { revision },
        };
        assert_eq!(outcome, expected, "{compare:?}");
    }
}

async fn txn_is_all_or_nothing(store: &dyn Store) {
    let compare = vec![Compare::Absent("a".into()), Compare::Absent("b".into())];
    let txn = Txn { compare, ops: vec![put("a", "1"), put("b", "1")] };
    assert_eq!(store.txn(txn.clone()).await, Ok(TxnOutcome::Committed { revision: 1 }));
    write(store, vec![delete("a"), put("c", "2")]).await;
    assert_eq!(store.txn(txn).await, Ok(TxnOutcome::Conflict { revision: 2 }), "b is there");
    assert_eq!(dump(store).await, [("b".into(), "1".into()), ("c".into(), "2".into())]);
}

async fn entry_has_the_revisions_of_its_creation_and_last_change(store: &dyn Store) {
    write(store, vec![put("k", "1")]).await;
    write(store, vec![put("other", "1")]).await;
    write(store, vec![put("k", "2")]).await;
    let entry = store.get("k").await.unwrap().unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision, entry.version), (1, 3, 2));
    assert_eq!((entry.value.as_slice(), entry.lease), (b"2".as_slice(), None));
    write(store, vec![delete("k")]).await;
    assert_eq!(store.get("k").await, Ok(None));
    write(store, vec![put("k", "3")]).await;
    let entry = store.get("k").await.unwrap().unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision, entry.version), (5, 5, 1));
}

async fn list_is_sorted_and_has_only_its_prefix(store: &dyn Store) {
    assert_eq!(store.list("").await.unwrap().revision, 0);
    write(store, ["a/2", "a/10", "b", "a", "a0", "ä/1"].map(|key| put(key, key)).to_vec()).await;
    for (prefix, expected) in [
        ("a/", vec!["a/10", "a/2"]),
        ("a", vec!["a", "a/10", "a/2", "a0"]),
        ("ä", vec!["ä/1"]),
        ("c", vec![]),
        ("", vec!["a", "a/10", "a/2", "a0", "b", "ä/1"]),
    ] {
        let listing = store.list(prefix).await.unwrap();
        let keys: Vec<&str> = listing.entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!((keys, listing.revision), (expected, 1), "{prefix}");
    }
}

async fn txn_over_a_limit_is_rejected(store: &dyn Store) {
    let many = |n: usize| (0..n).map(|i| put(&format!("k{i:04}"), "")).collect::<Vec<_>>();
    let sized = |n: usize| vec![Op::Put { key: "k".into(), value: vec![b'x'; n], lease: None }];
    let compares = |n: usize| vec![Compare::Absent("none".into()); n];
    let key = |n: usize| vec![put(&"k".repeat(n), "")];
    let rows = [
        ("as many operations as may be", vec![], many(TXN_MAX_OPS), "fits"),
        ("one operation more", vec![], many(TXN_MAX_OPS + 1), "large"),
        ("as many comparisons as may be", compares(TXN_MAX_OPS), vec![], "fits"),
        ("one comparison more", compares(TXN_MAX_OPS + 1), vec![], "large"),
        ("as many bytes as may be", vec![], sized(TXN_MAX_BYTES - 1), "fits"),
        ("one byte more", vec![], sized(TXN_MAX_BYTES), "large"),
        ("the longest key", vec![], key(KEY_MAX_BYTES), "fits"),
        ("a longer key", vec![], key(KEY_MAX_BYTES + 1), "large"),
        ("an empty key", vec![], key(0), "invalid"),
        ("a key twice", vec![], vec![put("k", "1"), delete("k")], "invalid"),
    ];
    for (what, compare, ops, expected) in rows {
        let found = match store.txn(Txn { compare, ops }).await {
            Ok(_) => "fits",
            Err(StoreError::TooLarge(_)) => "large",
            Err(StoreError::Invalid(_)) => "invalid",
            Err(_) => "other",
        };
        assert_eq!(found, expected, "{what}");
    }
}

async fn txn_without_a_change_raises_no_revision(store: &dyn Store) {
    assert_eq!(write(store, vec![put("k", "")]).await, 1);
    assert_eq!(write(store, vec![]).await, 1);
    assert_eq!(write(store, vec![delete("missing")]).await, 1);
    assert_eq!(write(store, vec![delete("missing"), put("k", "")]).await, 2);
    assert_eq!(store.list("").await.unwrap().revision, 2);
}

async fn concurrent_txns_get_distinct_revisions(store: &dyn Store) {
    let writes = (0..300).map(|n| write(store, vec![put(&format!("k{n}"), "x")]).boxed());
    let mut revisions = futures::future::join_all(writes).await;
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=300).collect::<Vec<_>>());
    assert_eq!(store.list("k").await.unwrap().entries.len(), 300);
}

async fn one_of_many_concurrent_claims_wins(store: &dyn Store) {
    let claim = |n: usize| Txn {
        compare: vec![Compare::Absent("claim".into())],
        ops: vec![put("claim", &n.to_string()), put(&format!("won/{n}"), "")],
    };
    let outcomes = futures::future::join_all((0..100).map(|n| store.txn(claim(n)))).await;
    let won: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| matches!(outcome, Ok(TxnOutcome::Committed { .. })))
        .map(|(n, _)| n)
        .collect();
    let [winner] = won[..] else { panic!("winners: {won:?}") };
    let expected = [("claim".into(), winner.to_string()), (format!("won/{winner}"), String::new())];
    assert_eq!(dump(store).await, expected);
}

async fn watch_delivers_whole_txns_in_order(store: &dyn Store) {
    let mut all = store.watch("", 1).await.unwrap();
    let mut some = store.watch("a/", 1).await.unwrap();
    write(store, vec![put("a/1", ""), put("b/1", ""), put("a/2", "")]).await;
    write(store, vec![put("b/1", "")]).await;
    write(store, vec![delete("a/1"), delete("never")]).await;
    let own = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    assert_eq!(next(&mut all).await, (1, own(&["+a/1", "+b/1", "+a/2"])));
    assert_eq!(next(&mut all).await, (2, own(&["+b/1"])));
    assert_eq!(next(&mut all).await, (3, own(&["-a/1"])));
    assert_eq!(next(&mut some).await, (1, own(&["+a/1", "+a/2"])));
    assert_eq!(next(&mut some).await, (3, own(&["-a/1"])));
    assert_eq!(some.next().now_or_never(), None, "nothing more");
}

async fn watch_replays_from_a_kept_revision_and_resyncs_from_a_forgotten_one(store: &dyn Store) {
    for key in ["1", "2", "3"] {
        write(store, vec![put(key, "")]).await;
    }
    let mut past = store.watch("", 2).await.unwrap();
    let mut future = store.watch("", 5).await.unwrap();
    let mut forgotten = store.watch("", 0).await.unwrap();
    write(store, vec![put("4", "")]).await;
    write(store, vec![put("5", "")]).await;
    assert_eq!(next(&mut past).await.0, 2);
    assert_eq!(next(&mut past).await.0, 3);
    assert_eq!(next(&mut future).await.0, 5);
    assert_eq!(forgotten.next().await, Some(WatchEvent::Resync));
    assert_eq!(forgotten.next().await, None, "it ends");
}

async fn lapsed_lease_deletes_its_keys_in_one_txn(store: &dyn Store) {
    let lease = store.grant_lease(Duration::from_secs(5)).await.unwrap();
    write(store, vec![on_lease("a", lease), on_lease("b", lease), put("c", "")]).await;
    assert_eq!(store.get("a").await.unwrap().unwrap().lease, Some(lease));
    let mut watch = store.watch("", 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert_eq!(store.list("").await.unwrap().entries.len(), 3);
    assert_eq!(next(&mut watch).await, (2, vec!["-a".into(), "-b".into()]));
    assert_eq!(dump(store).await, [("c".into(), String::new())]);
    assert_eq!(store.keep_alive(lease).await, Err(StoreError::NoLease(lease.0)));
}

async fn lease_is_kept_while_it_is_renewed(store: &dyn Store) {
    let lease = store.grant_lease(Duration::from_secs(5)).await.unwrap();
    write(store, vec![on_lease("a", lease)]).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        store.keep_alive(lease).await.unwrap();
    }
    assert!(store.get("a").await.unwrap().is_some());
    let mut watch = store.watch("", 2).await.unwrap();
    assert_eq!(next(&mut watch).await.1, ["-a"]);
}

async fn revoked_lease_deletes_its_keys(store: &dyn Store) {
    let lease = store.grant_lease(Duration::from_secs(5)).await.unwrap();
    let other = store.grant_lease(Duration::from_secs(5)).await.unwrap();
    assert_ne!(lease, other);
    // More keys than one transaction of a caller may have: a lease's end is one all the same.
    for n in 0..3 {
        write(store, (0..100).map(|i| on_lease(&format!("k{n}-{i}"), lease)).collect()).await;
    }
    let mut watch = store.watch("", 4).await.unwrap();
    store.revoke_lease(lease).await.unwrap();
    let (revision, gone) = next(&mut watch).await;
    assert_eq!((revision, gone.len()), (4, 300));
    assert_eq!(store.revoke_lease(lease).await, Err(StoreError::NoLease(lease.0)));
    store.keep_alive(other).await.unwrap();
}

async fn key_belongs_to_its_last_lease_only(store: &dyn Store) {
    let first = store.grant_lease(Duration::from_secs(5)).await.unwrap();
    let second = store.grant_lease(Duration::from_secs(50)).await.unwrap();
    write(store, ["freed", "moved", "remade"].map(|key| on_lease(key, first)).to_vec()).await;
    write(store, vec![put("freed", ""), on_lease("moved", second), delete("remade")]).await;
    write(store, vec![put("remade", "")]).await;
    store.revoke_lease(first).await.unwrap();
    assert_eq!(store.list("").await.unwrap().entries.len(), 3);
    store.revoke_lease(second).await.unwrap();
    let keys: Vec<String> = dump(store).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["freed", "remade"]);
}

async fn txn_with_an_unknown_lease_is_rejected(store: &dyn Store) {
    let unknown = LeaseId(77);
    let txn = Txn { compare: vec![], ops: vec![put("a", ""), on_lease("b", unknown)] };
    assert_eq!(store.txn(txn).await, Err(StoreError::NoLease(77)));
    assert!(dump(store).await.is_empty());
}
