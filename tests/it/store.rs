//! The store: one contract for every backend, and what only the embedded one promises.
#![allow(clippy::unwrap_used)] // tests, but their shared functions are not marked as such

mod contract;
mod crash;
mod damage;
mod files;
mod random;

use std::path::Path;
use std::sync::Arc;

use coxswain::clock::RealClock;
use coxswain::store::{EmbeddedStore, Op, Store, StoreError, Txn, TxnOutcome};

async fn open(dir: &Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(dir, Arc::new(RealClock::new())).await
}

fn put(key: &str, value: &str) -> Op {
    Op::Put { key: key.to_owned(), value: value.into(), lease: None }
}

/// Writes, and gives the revision; a conflict is the test's mistake.
async fn write(store: &dyn Store, ops: Vec<Op>) -> u64 {
    match store.txn(Txn { compare: vec![], ops }).await.unwrap() {
        TxnOutcome::Committed { revision } => revision,
        TxnOutcome::Conflict { .. } => panic!("nothing was compared"),
    }
}

/// Keys and values of everything in the store.
async fn dump(store: &dyn Store) -> Vec<(String, String)> {
    let entries = store.list("").await.unwrap().entries;
    entries.into_iter().map(|e| (e.key, String::from_utf8(e.value).unwrap())).collect()
}
