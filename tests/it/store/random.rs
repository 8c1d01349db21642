//! Random histories against a model: a map that keeps revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain::clock::RealClock;
use coxswain::store::{Change, Compare, EmbeddedStore, Op, Store, StoreEntry, Txn, TxnOutcome, WatchEvent};
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;

/// The contract of a store without leases, in the plainest way.
#[derive(Default)]
struct Model {
    revision: u64,
    entries: BTreeMap<String, StoreEntry>,
}

impl Model {
    fn txn(&mut self, txn: &Txn) -> (TxnOutcome, Vec<Change>) {
        let blockers = |compare: &Compare| match compare {
            Compare::Absent(key) => !self.entries.contains_key(key),
            Compare::ModRevision(key, revision) => {
                self.entries.get(key).is_some_and(|e| e.mod_revision == *revision)
            }
        };
        if !txn.compare.iter().all(blockers) {
            return (TxnOutcome::Conflict { revision: self.revision }, vec![]);
        }
        let changes: Vec<Change> = txn.ops.iter().filter_map(|op| self.apply(op)).collect();
        self.revision += u64::from(!changes.is_empty());
        (TxnOutcome::Committed { revision: self.revision }, changes)
    }

    fn apply(&mut self, op: &Op) -> Option<Change> {
        match op {
            Op::Put { key, value, lease } => {
                let now = self.revision + 1;
                let before = self.entries.get(key);
                let entry = StoreEntry {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: before.map_or(now, |e| e.create_revision),
                    mod_revision: now,
                    version: before.map_or(0, |e| e.version) + 1,
                    lease: *lease,
                };
                self.entries.insert(key.clone(), entry.clone());
                Some(Change::Put(entry))
            }
            Op::Delete { key } => self.entries.remove(key).map(|e| Change::Delete { key: e.key }),
            Op::Unencodable { .. } => None,
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a/x", "a/y", "b", "b/x", "c"]).prop_map(str::to_owned)
}

fn compare() -> impl Strategy<Value = Compare> {
    prop_oneof![
        key().prop_map(Compare::Absent),
        (key(), 0..12u64).prop_map(|(key, revision)| Compare::ModRevision(key, revision)),
    ]
}

fn txn() -> impl Strategy<Value = Txn> {
    let op = (key(), prop::option::weighted(0.7, 0..3u8));
    let ops =
        prop::collection::btree_map(op.prop_map(|(key, _)| key), prop::option::weighted(0.7, 0..3u8), 0..4);
    let compare = prop::collection::vec(compare(), 0..2);
    (compare, ops).prop_map(|(compare, ops)| Txn {
        compare,
        ops: ops
            .into_iter()
            .map(|(key, value)| match value {
                Some(value) => Op::Put { key, value: vec![value], lease: None },
                None => Op::Delete { key },
            })
            .collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn store_matches_model_under_random_operations(txns in prop::collection::vec(txn(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(txns));
    }
}

async fn check(txns: Vec<Txn>) {
    let store = EmbeddedStore::in_memory(Arc::new(RealClock::new())).unwrap();
    let mut model = Model::default();
    let mut expected = Vec::new();
    for txn in txns {
        let (outcome, changes) = model.txn(&txn);
        assert_eq!(store.txn(txn).await, Ok(outcome));
        if !changes.is_empty() {
            expected.push(WatchEvent::Changes { revision: model.revision, changes });
        }
    }
    for prefix in ["", "a", "a/", "b", "d"] {
        let listing = store.list(prefix).await.unwrap();
        let entries: Vec<StoreEntry> =
            model.entries.values().filter(|e| e.key.starts_with(prefix)).cloned().collect();
        assert_eq!((listing.revision, listing.entries), (model.revision, entries), "{prefix}");
        assert_eq!(watched(&store, prefix).await, under(prefix, &expected), "{prefix}");
    }
}

async fn watched(store: &dyn Store, prefix: &str) -> Vec<WatchEvent> {
    let mut watch = store.watch(prefix, 1).await.unwrap();
    std::iter::from_fn(|| watch.next().now_or_never().flatten()).collect()
}

fn under(prefix: &str, all: &[WatchEvent]) -> Vec<WatchEvent> {
    let part = |event: &WatchEvent| {
        let WatchEvent::Changes { revision, changes } = event else { return None };
        let changes: Vec<Change> = changes.iter().filter(|c| c.key().starts_with(prefix)).cloned().collect();
        (!changes.is_empty()).then_some(WatchEvent::Changes { revision: *revision, changes })
    };
    all.iter().filter_map(part).collect()
}
