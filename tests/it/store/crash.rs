//! A process that is killed while it writes: everything that was acknowledged as durable is there afterwards.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use coxswain::store::Store;

use super::{dump, open, put, write};

/// Set in the child: the directory to write to.
const CHILD_DIR: &str = "COXSWAIN_TEST_CRASH_DIR";
const ROUNDS: usize = 4;
const WRITERS: usize = 8;

/// As parent: starts itself as a child that writes and says what was acknowledged, kills it in the middle, looks.
#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return write_until_killed(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=ROUNDS {
        acknowledged.extend(run_and_kill(dir.path(), 37 * round));
        let store = open(dir.path()).await.unwrap();
        let stored: BTreeSet<String> = dump(&store).await.into_iter().map(|(key, _)| key).collect();
        let lost: Vec<&String> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "lost in round {round}: {lost:?}");
        store.close().await;
    }
    assert!(acknowledged.len() >= 37 * ROUNDS);
}

/// Keys that a child acknowledged; it is killed after `enough` of them.
fn run_and_kill(dir: &Path, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::crash::acknowledged_writes_survive_a_kill", "--exact", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut keys = Vec::new();
    // What was said before the kill and read after it counts too.
    for line in lines {
        if let Some(key) = line.strip_prefix("acknowledged ") {
            keys.push(key.to_owned());
        }
        if keys.len() == enough {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success() && keys.len() >= enough, "the child ended by itself: {status}");
    keys
}

async fn write_until_killed(dir: &Path) {
    let store = open(dir).await.unwrap();
    let epoch = store.identity().epoch;
    let writers = (0..WRITERS).map(|writer| {
        let store = &store;
        async move {
            let mut said = std::io::stdout();
            for n in 0.. {
                let key = format!("{epoch}/{writer}/{n}");
                write(store, vec![put(&key, "x")]).await;
                writeln!(said, "acknowledged {key}").unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
}
