//! What one reader reads: which containers' logs, and how their replicas stood when it last looked.
//!
//! Invariants: a container's log is opened once, with the options of the look that first saw it, and tried again only a
//! pause after the Engine refused it; while the Engine is away one log is tried a pause; what is not listed any more is
//! forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::life;
use super::lines::LogLines;
use super::merge::Merge;
use crate::agent::{EngineError, LogLine, LogOptions, NodeRequests};
use crate::controller::nodes::NodeLinks;
use crate::controller::{LogRecord, ReplicaObject};
use crate::model::{ContainerId, ReplicaName, ReplicaPhase, ReplicaStatus};

/// Logs read at a time by one reader: each is a connection to the Engine.
const READ_MAX: usize = 256;
/// Before a log is asked for again that the Engine would not open: an Engine in trouble is not hammered, and a reader does
/// not notice the wait.
const AGAIN: Duration = Duration::from_secs(1);

/// A container's log.
#[derive(Debug)]
struct Log {
    reading: Reading,
    /// Which lines of it: what has to wait is not read from another line on than it would have been at once.
    options: LogOptions,
}

/// How it stands with a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// It is read, or was to its end.
    Taken,
    /// The Engine would not open it; it is asked again then.
    ControllerError(Instant),
    /// There was no room for it, and that has been said.
    LeftOut,
}

/// What came of taking in logs.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Whose log is left out.
    pub(super) told: Vec<LogRecord>,
    /// Why the first of those that could not be opened was not.
    pub(super) failed: Option<EngineError>,
}

/// What one reader reads.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) merge: Merge,
    containers: BTreeMap<(ReplicaName, ContainerId), Log>,
    statuses: BTreeMap<ReplicaName, ReplicaStatus>,
}

impl Reader {
    /// Opens the logs of containers that are not read yet, as long as there is room.
    pub(super) async fn take_in(
        &mut self,
        nodes: &NodeLinks,
        replicas: &[ReplicaObject],
        options: &LogOptions,
        now: Instant,
    ) -> Taken {
        let mut taken = Taken::default();
        self.forget(replicas);
        for (of, node) in replicas.iter().filter_map(|r| Some((container(r)?, nodes.get(&r.spec.node)?))) {
            let before = self.containers.get(&of);
            match before.map(|log| log.reading) {
                Some(Reading::Taken) => continue,
                Some(Reading::ControllerError(again_at)) if again_at > now => continue,
                Some(Reading::ControllerError(_) | Reading::LeftOut) | None => {}
            }
            let options = before.map_or(options, |log| &log.options).clone();
            let reading = if self.merge.len() >= READ_MAX {
                if before.is_none_or(|log| log.reading != Reading::LeftOut) {
                    let text = format!("not read: {READ_MAX} logs are read already");
                    taken.told.push(life_of(&of.0, None, text));
                }
                Reading::LeftOut
            } else {
                match lines(node, &of.0, &of.1, &options).await {
                    Ok(lines) => {
                        self.merge.push(lines);
                        Reading::Taken
                    }
                    Err(error) if error.is_not_found() => Reading::Taken, // removed meanwhile, and its log with it
                    Err(error) => {
                        taken.failed.get_or_insert(error);
                        Reading::ControllerError(now + AGAIN)
                    }
                }
            };
            self.containers.insert(of, Log { reading, options });
            if taken.failed.as_ref().is_some_and(EngineError::is_away) {
                self.all_wait_until(now + AGAIN); // each further one would wait for its deadline
                break;
            }
        }
        taken
    }

    /// None of the logs that could not be opened is asked for before then.
    fn all_wait_until(&mut self, until: Instant) {
        for log in self.containers.values_mut() {
            if let Reading::ControllerError(at) = &mut log.reading {
                *at = until.max(*at);
            }
        }
    }

    /// When a log that could not be opened is to be asked for again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        let again = |log: &Log| match log.reading {
            Reading::ControllerError(at) => Some(at),
            Reading::Taken | Reading::LeftOut => None,
        };
        self.containers.values().filter_map(again).min()
    }

    /// What is new of each replica, and who is gone; remembers how things stand.
    pub(super) fn happened(&mut self, now: &[ReplicaObject]) -> Vec<LogRecord> {
        let mut told = Vec::new();
        for status in now.iter().filter_map(|replica| replica.status.as_ref()) {
            let earlier = self.statuses.insert(status.replica.clone(), status.clone());
            let text = life::told(earlier.as_ref(), status);
            told.extend(text.map(|text| life_of(&status.replica, Some(status.since), text)));
        }
        self.statuses.retain(|name, last| {
            let is_here = now.iter().any(|replica| replica.spec.name == *name);
            // Its agent may have said so before.
            if !is_here && last.phase != ReplicaPhase::Gone {
                told.push(life_of(name, None, "gone".to_owned()));
            }
            is_here
        });
        told
    }

    /// Forgets containers whose replica is gone or has another one. A replica that names none for now keeps its own: it
    /// would be read again from its first line.
    fn forget(&mut self, replicas: &[ReplicaObject]) {
        let current: BTreeMap<&ReplicaName, Option<&ContainerId>> = replicas
            .iter()
            .map(|r| (&r.spec.name, r.status.as_ref().and_then(|status| status.container.as_ref())))
            .collect();
        self.containers.retain(|(replica, container), _| match current.get(replica) {
            None => false,
            Some(None) => true,
            Some(Some(named)) => *named == container,
        });
    }
}

fn life_of(replica: &ReplicaName, at: Option<jiff::Timestamp>, text: String) -> LogRecord {
    LogRecord { replica: replica.clone(), at, stderr: false, text, life: true }
}

fn container(replica: &ReplicaObject) -> Option<(ReplicaName, ContainerId)> {
    Some((replica.spec.name.clone(), replica.status.as_ref()?.container.clone()?))
}

async fn lines(
    node: &dyn NodeRequests,
    replica: &ReplicaName,
    container: &ContainerId,
    options: &LogOptions,
) -> Result<LogLines, EngineError> {
    let replica = replica.clone();
    let record = move |line: LogLine| LogRecord {
        replica: replica.clone(),
        at: line.at,
        stderr: line.stderr,
        text: line.text,
        life: false,
    };
    let lines = node.logs(container, options).await?;
    // A container that is removed as its log is opened has no further line, and that is no error of the others.
    let still_there = |line: &Result<_, EngineError>| {
        std::future::ready(!line.as_ref().is_err_and(EngineError::is_not_found))
    };
    Ok(lines.take_while(still_there).map(move |line| line.map(&record)).boxed())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::agent::LocalNode;
    use crate::controller::API_VERSION;
    use crate::engine::ContainerSpec;
    use crate::engine::fake::{Behaviour, FakeEngine, Fault};
    use crate::model::{Desired, Replica, RevisionNumber, StoreId, TemplateHash};

    /// An Engine with this many containers that wrote a line, and their replicas.
    fn world(containers: usize) -> (FakeEngine, Vec<ReplicaObject>) {
        let engine = FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH);
        engine.add_image("users:1", Behaviour::default());
        let replicas = (0..containers).map(|n| replica(&engine, &format!("users-1-{n:03}"))).collect();
        (engine, replicas)
    }

    fn replica(engine: &FakeEngine, name: &str) -> ReplicaObject {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let spec = ContainerSpec::bare(name, "users:1", "coxswain-shop", address);
        let container = engine.create_by_hand(&spec).unwrap();
        engine.write_log(&container, LogLine { at: None, stderr: false, text: name.to_owned() });
        let spec = Replica {
            name: name.into(),
            service: "users".into(),
            app: "shop".into(),
            slot: 1,
            revision: RevisionNumber(1),
            hash: TemplateHash::new("h"),
            node: "host".into(),
            desired: Desired::Run,
        };
        let status = ReplicaStatus {
            replica: name.into(),
            phase: ReplicaPhase::Ready,
            attempt: 1,
            failures: 0,
            container: Some(container),
            published: Default::default(),
            address: None,
            ready_after: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            diagnosis: None,
        };
        ReplicaObject {
            api_version: API_VERSION.to_owned(),
            kind: "Replica".to_owned(),
            spec,
            status: Some(status),
            available: true,
            in_flight: 0,
            image: crate::model::ResolvedImage { reference: "users:1".into(), pinned: "sha256:1".into() },
        }
    }

    fn nodes(engine: &FakeEngine) -> NodeLinks {
        let node = LocalNode::new(Arc::new(engine.clone()), StoreId::new("store"));
        NodeLinks::of_one("host".into(), Arc::new(node))
    }

    async fn take_in(reader: &mut Reader, engine: &FakeEngine, of: &[ReplicaObject], now: Instant) -> Taken {
        reader.take_in(&nodes(engine), of, &LogOptions::default(), now).await
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_opened_is_asked_for_again_only_after_a_pause() {
        let (engine, replicas) = world(2);
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        engine.choose_faults(move |_| {
            let error = EngineError::Failed { call: "logs", status: 500, message: "no".into() };
            (counter.fetch_add(1, Ordering::Relaxed) == 0).then_some(Fault::Fails(error))
        });
        let asks = || asked.load(Ordering::Relaxed);
        let (mut reader, now) = (Reader::default(), Instant::now());
        let taken = take_in(&mut reader, &engine, &replicas, now).await;
        assert!(taken.failed.is_some());
        assert_eq!((asks(), reader.merge.len()), (2, 1), "the other one is read");
        let soon = now + AGAIN - Duration::from_millis(1);
        take_in(&mut reader, &engine, &replicas, soon).await;
        assert_eq!((asks(), reader.again_at()), (2, Some(now + AGAIN)));
        take_in(&mut reader, &engine, &replicas, now + AGAIN).await;
        assert_eq!((asks(), reader.merge.len(), reader.again_at()), (3, 2, None));
        take_in(&mut reader, &engine, &replicas, now + AGAIN * 2).await;
        assert_eq!(asks(), 3, "what is open is not opened again");
    }

    #[tokio::test]
    async fn an_engine_that_is_away_is_asked_for_one_log_a_pause() {
        let (engine, replicas) = world(4);
        let (mut reader, now) = (Reader::default(), Instant::now());
        let fails = |error: fn() -> EngineError| engine.choose_faults(move |_| Some(Fault::Fails(error())));
        fails(|| EngineError::Failed { call: "logs", status: 500, message: "no".into() });
        take_in(&mut reader, &engine, &replicas, now).await;
        fails(|| EngineError::Stopped { socket: "docker.sock".into() });
        assert!(take_in(&mut reader, &engine, &replicas, now + AGAIN).await.failed.is_some());
        assert_eq!(reader.again_at(), Some(now + AGAIN * 2), "the other three were due");
        engine.choose_faults(|_| None);
        take_in(&mut reader, &engine, &replicas, now + AGAIN * 2).await;
        assert_eq!(reader.merge.len(), 4);
    }

    #[tokio::test]
    async fn a_log_that_had_to_wait_is_read_from_the_line_that_was_asked_for() {
        let (engine, replicas) = world(READ_MAX + 1);
        let last = container(&replicas[READ_MAX]).unwrap();
        engine.write_log(&last.1, LogLine { at: None, stderr: false, text: "its last".to_owned() });
        let (mut reader, now) = (Reader::default(), Instant::now());
        let options = LogOptions { tail: Some(1), ..LogOptions::default() };
        reader.take_in(&nodes(&engine), &replicas, &options, now).await;
        while reader.merge.next().await.is_some() {}
        take_in(&mut reader, &engine, &replicas, now).await;
        assert_eq!(reader.merge.next().await.unwrap().unwrap().text, "its last");
    }

    #[tokio::test]
    async fn a_log_beyond_the_limit_is_left_out_by_name_until_there_is_room() {
        let (engine, replicas) = world(READ_MAX + 1);
        let (mut reader, now) = (Reader::default(), Instant::now());
        let taken = take_in(&mut reader, &engine, &replicas, now).await;
        let told: Vec<_> =
            taken.told.iter().map(|line| (line.replica.as_str(), line.text.as_str())).collect();
        assert_eq!(told, [("users-1-256", "not read: 256 logs are read already")]);
        assert_eq!(reader.merge.len(), READ_MAX);
        assert_eq!(take_in(&mut reader, &engine, &replicas, now).await.told, [], "it is said once");
        while reader.merge.next().await.is_some() {}
        take_in(&mut reader, &engine, &replicas, now).await;
        assert_eq!(reader.merge.next().await.unwrap().unwrap().text, "users-1-256");
    }

    #[tokio::test]
    async fn what_is_gone_is_forgotten() {
        let (engine, mut replicas) = world(3);
        let (mut reader, now) = (Reader::default(), Instant::now());
        take_in(&mut reader, &engine, &replicas, now).await;
        replicas.pop();
        replicas[0].status.as_mut().unwrap().container = Some(ContainerId::new("another"));
        let silent = container(&replicas[1]).unwrap();
        replicas[1].status.as_mut().unwrap().container = None;
        take_in(&mut reader, &engine, &replicas, now).await;
        let left: Vec<_> = reader.containers.keys().cloned().collect();
        assert_eq!(left, [container(&replicas[0]).unwrap(), silent]);
        take_in(&mut reader, &engine, &[], now).await;
        assert!(reader.containers.is_empty());
    }
}
