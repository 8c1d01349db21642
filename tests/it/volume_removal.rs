//! Golden plans of volume removal: each `tests/plans/volume_removal/<case>/script.txt` deletes services, and `plan.snap` shows
//! every attempt to remove their volumes. The grammar is in `tests/README.md`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coxswain::controller::Awaited;
use coxswain::engine::fake::{Behaviour, Call, Fault};
use coxswain::engine::{ContainerSpec, Engine, EngineError, LABEL_VOLUME, Mount, VolumeSpec};
use coxswain::model::{ContainerId, Millis, Reason, ServiceName, Volume};
use coxswain::store::Store;
use futures::FutureExt;

use crate::controller::{Rig, document, spec_of};

const SECOND: Millis = Millis::secs(1);

#[test]
fn golden_plans_of_volume_removal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    crate::golden::check("volume_removal", 8, |script| {
        runtime.block_on(async {
            let mut removal = Removal::new();
            for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                removal.command(line).await;
            }
            let left = removal.volumes().await.join(" ");
            removal.print(&format!("left: [{left}]"));
            Ok(removal.transcript)
        })
    });
}

struct Removal {
    rig: Rig,
    now: Millis,
    services: Vec<ServiceName>,
    containers: Vec<(String, ContainerId)>,
    /// Attempts so far: each begins by listing the volumes.
    attempts: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
    transcript: String,
}

impl Removal {
    fn new() -> Self {
        let rig = Rig::new();
        rig.engine.add_image("users:1", Behaviour::default());
        let attempts = Arc::new(AtomicUsize::new(0));
        let is_away = Arc::new(AtomicBool::new(false));
        let counter = attempts.clone();
        let away = is_away.clone();
        rig.engine.choose_faults(move |call| {
            if call == Call::Volumes {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            let error = EngineError::Stopped { socket: "/run/docker.sock".into() };
            away.load(Ordering::Relaxed).then_some(Fault::Fails(error))
        });
        Self {
            rig,
            now: Millis(0),
            services: Vec::new(),
            containers: Vec::new(),
            attempts,
            is_away,
            transcript: String::new(),
        }
    }

    async fn command(&mut self, line: &str) {
        writeln!(self.transcript, "> {line}").unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["service", name, volumes @ ..] => self.service(name, volumes).await,
            ["delete", name] => self.delete(name, true).await,
            ["delete", name, "keep"] => self.delete(name, false).await,
            ["container", name, volume] => self.container(name, volume).await,
            ["no-container", name] => {
                let at = self.containers.iter().position(|(other, _)| other == name).unwrap();
                let (_, id) = self.containers.remove(at);
                self.rig.engine.remove_by_hand(&id);
            }
            ["engine", "away"] => self.is_away.store(true, Ordering::Relaxed),
            ["engine", "back"] => self.is_away.store(false, Ordering::Relaxed),
            ["engine", "loses-answer"] => self.rig.engine.lose_answer(Call::RemoveVolume),
            ["controller-restarts"] => self.rig.restart_controller().await,
            ["pass"] => self.pass().await,
            ["remove"] => self.remove().await,
            ["wait", wait] => self.advance(wait.parse().unwrap()),
            ["run", wait] => self.run(wait.parse().unwrap()).await,
            _ => panic!("unknown command: {line}"),
        }
    }

    fn print(&mut self, line: &str) {
        writeln!(self.transcript, "{:>4}s {line}", self.now.0 / 1000).unwrap();
    }

    async fn service(&mut self, name: &str, volumes: &[&str]) {
        let mut document = document(name, "users:1");
        spec_of(&mut document).volumes =
            volumes.iter().map(|volume| Volume::named(*volume, format!("/{volume}"))).collect();
        self.rig.apply(&format!("apply-{name}"), &[document]).await.unwrap();
        for volume in volumes {
            self.rig.engine.create_volume(&self.volume(volume)).await.unwrap();
        }
        self.services.push(name.into());
    }

    fn volume(&self, volume: &str) -> VolumeSpec {
        let store = self.rig.store.identity().id.to_string();
        let labels = [
            ("coxswain.store", store),
            ("coxswain.app", "shop".to_owned()),
            (LABEL_VOLUME, volume.to_owned()),
        ];
        VolumeSpec {
            name: format!("shop-{volume}"),
            labels: labels.map(|(label, value)| (label.to_owned(), value)).into(),
        }
    }

    async fn delete(&mut self, name: &str, volumes: bool) {
        let objects = [(&ServiceName::new(name)).into()];
        self.rig
            .controller
            .writes()
            .delete(&format!("delete-{name}"), &objects, volumes, "delete")
            .await
            .unwrap();
        self.rig.controller.reconciler().mark(name.into());
    }

    async fn container(&mut self, name: &str, volume: &str) {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let mut spec = ContainerSpec::bare(name, "users:1", "coxswain-shop", address);
        spec.mounts = vec![Mount { volume: self.volume(volume), path: "/data".into(), read_only: false }];
        let id = self.rig.engine.create_by_hand(&spec).unwrap();
        self.containers.push((name.to_owned(), id));
    }

    async fn pass(&mut self) {
        self.rig.controller.reconciler().pass_marked().await.unwrap();
        let left = self.rig.controller.queries().services(&[]).await.unwrap();
        let is_left = |name: &ServiceName| left.iter().any(|service| service.service.metadata.name == *name);
        let (left, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.services).into_iter().partition(is_left);
        self.services = left;
        for name in gone {
            self.print(&format!("{name} is forgotten"));
        }
    }

    /// The fake Engine and the store in memory answer at once: one poll makes every attempt that was requested.
    async fn remove(&mut self) {
        let attempts = self.attempts.load(Ordering::Relaxed);
        let before = self.volumes().await;
        let remover = self.rig.controller.clone();
        assert!(remover.reconciler().remove_requested_volumes().now_or_never().is_none());
        let after = self.volumes().await;
        let removed: Vec<&str> =
            before.iter().filter(|name| !after.contains(name)).map(String::as_str).collect();
        let removed = removed.join(" ");
        if self.attempts.load(Ordering::Relaxed) == attempts {
            return;
        }
        let mut failures = Vec::new();
        for name in &self.services {
            let queries = self.rig.controller.queries();
            let generation = self.rig.service(name.as_str()).await.metadata.generation;
            let progress = queries.progress(name, generation, Awaited::Release).await.unwrap().unwrap();
            let in_use = progress.held_by.into_iter().filter(|held| held.reason == Reason::VolumeInUse);
            failures.extend(in_use.map(|held| held.message));
        }
        self.print(&format!("attempt: removed [{removed}]"));
        for failure in failures {
            self.print(&format!("  failed: {failure}"));
        }
    }

    /// The volumes there are; not counted as an attempt.
    async fn volumes(&self) -> Vec<String> {
        let is_away = self.is_away.swap(false, Ordering::Relaxed);
        let volumes = self.rig.engine.volumes().await.unwrap();
        self.attempts.fetch_sub(1, Ordering::Relaxed);
        self.is_away.store(is_away, Ordering::Relaxed);
        volumes.into_iter().map(|volume| volume.labels[LABEL_VOLUME].clone()).collect()
    }

    fn advance(&mut self, wait: Millis) {
        self.rig.clock.advance(wait.0);
        self.now = self.now.plus(wait);
    }

    async fn run(&mut self, wait: Millis) {
        let end = self.now.plus(wait);
        while self.now < end {
            self.pass().await;
            self.remove().await;
            self.pass().await;
            self.advance(SECOND);
        }
    }
}
