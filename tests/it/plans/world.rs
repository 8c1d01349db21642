//! A world for plans: what agents and containers would do, without any of them.
//!
//! A container is ready 2 s after it was started and gone 3 s after its removal was asked for. An image named `bad`
//! exits at once until it is healed, one named `slow` is pulled for 60 s first, one named `stubborn` is gone only after its
//! `stop.grace`; a health path `/typo` fails, 15 s after a running replica was moved to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use coxswain::model::{
    Desired, Diagnosis, EnvValue, EventKind, Evidence, FailedProbe, FailureReason, Generation, Health,
    HealthCheck, InterventionKind, LastExit, Millis, Mono, NotReadyCause, Now, OnFailure, OutcomeRecord,
    Port, ProbeAnswer, Protocol, Replica, ReplicaHistory, ReplicaName, ReplicaPhase, ReplicaStatus,
    ResolvedImage, Revision, RevisionNumber, RevisionOutcome, Rollout, RolloutFailure, RolloutIntervention,
    RolloutState, Service, ServiceSpec, Traffic, Trial, Volume,
};
use coxswain::orchestrator::{Changes, ReplicaView, ServiceView, VolumeRemovalState, plan};
use coxswain::testing;

const READY_AFTER: u64 = 2_000;
const PULLED_AFTER: u64 = 60_000;
const GONE_AFTER: u64 = 3_000;
const TYPO_SHOWS_AFTER: u64 = 15_000;
/// More passes than a service of a few replicas needs until it has to wait for the world: one starts or removes what the
/// bounds allow, and each other step is taken once.
const MOST_PASSES_AT_ONCE: usize = 50;
/// More passes than any script needs: a run that takes longer does not end.
const MOST_PASSES: usize = 5_000;

/// A replica with what became of it.
#[derive(Debug, Clone)]
pub(super) struct Live {
    replica: Replica,
    made_at: u64,
    moved_at: Option<u64>,
    leaving_since: Option<u64>,
    serving_since: Option<u64>,
    /// Its health check fails.
    pub(super) broken: bool,
    /// Nothing is left of it.
    pub(super) gone: bool,
    history: ReplicaHistory,
}

impl Live {
    /// Its container exits and the next one serves at once.
    fn crash(&mut self, at: jiff::Timestamp) {
        self.history.containers = self.history.containers.max(1) + 1;
        self.history.failed(at);
        let cause = NotReadyCause::Exited { code: 1, was_healthy: true };
        self.history.last_exit = Some(LastExit { at, cause, container: "c1".into() });
    }
}

#[derive(Clone)]
pub(super) struct World {
    now: u64,
    service: Option<Service>,
    spec: ServiceSpec,
    rollout: Option<Rollout>,
    traffic: Option<Traffic>,
    revisions: BTreeMap<RevisionNumber, Revision>,
    outcomes: BTreeMap<RevisionNumber, OutcomeRecord>,
    live: BTreeMap<ReplicaName, Live>,
    healed: bool,
    /// The balancer is not connected: nothing is acknowledged.
    silent: bool,
    nodes: Vec<&'static str>,
    unsaved: u64,
    clock_runs: bool,
    issued: BTreeSet<ReplicaName>,
    transcript: String,
}

impl World {
    pub(super) fn new() -> Self {
        let mut spec = ServiceSpec::of_image("users:1");
        spec.ports = vec![Port { name: "http".into(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.health = Health::with(HealthCheck::Http("/healthz".into()));
        Self {
            now: 0,
            service: None,
            spec,
            rollout: None,
            traffic: None,
            revisions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            live: BTreeMap::new(),
            healed: false,
            silent: false,
            nodes: vec!["elk"],
            unsaved: 0,
            clock_runs: false,
            issued: BTreeSet::new(),
            transcript: String::new(),
        }
    }

    /// One line of a script; what follows `#` is for people.
    pub(super) fn command(&mut self, line: &str) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            return;
        }
        writeln!(self.transcript, "> {line}").unwrap();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "apply" => {
                let (image, settings) = rest.split_once(' ').unwrap_or((rest, ""));
                self.spec.image = image.into();
                self.set(settings);
                self.write(line);
            }
            "set" => {
                self.set(rest);
                self.write(line);
            }
            "scale" => {
                self.spec.replicas = rest.parse().ok();
                self.write(line);
            }
            "restart" => {
                if let Some(service) = &mut self.service {
                    service.restarts += 1;
                    service.intervention = None;
                }
                self.write(line);
            }
            "pause" => self.intervention(Some(InterventionKind::Pause), line),
            "resume" => self.intervention(None, line),
            "abort" => self.intervention(Some(InterventionKind::Abort), line),
            "undo" => {
                let old = &self.revisions[&RevisionNumber(rest.parse().unwrap())];
                self.spec = self.spec.with_release_of(&old.spec);
                self.write(line);
            }
            "delete" => {
                let at = self.now().wall;
                self.service.as_mut().unwrap().deleted_at = Some(at);
            }
            "nodes" => self.nodes = rest.split(' ').map(|h| &*h.to_owned().leak()).collect(),
            "break" => {
                let at = self.now().wall;
                self.happens(rest, |live| {
                    live.broken = true;
                    live.history.became_unready(at);
                });
            }
            "mend" => self.happens(rest, |live| live.broken = false),
            "crash" => {
                let at = self.now().wall;
                self.happens(rest, |live| live.crash(at));
            }
            "conditions" => self.write_conditions(),
            "vanish" => self.happens(rest, |live| live.gone = true),
            "heal" => self.heal_all(),
            "balancer" => {
                self.silent = rest == "away";
                self.observe();
            }
            "controller-restarts" => self.restart_controller(),
            "wait" => self.advance(rest.parse::<Millis>().unwrap().0),
            "pass" => {
                let changes = self.pass();
                for hold in &changes.blockers {
                    writeln!(self.transcript, "        waits: {hold}").unwrap();
                }
            }
            "steps" => {
                for _ in 0..rest.parse::<usize>().unwrap() {
                    self.pass();
                    self.advance(1_000);
                }
            }
            "run" => self.run(),
            other => panic!("no such command: {other}"),
        }
    }

    fn set(&mut self, settings: &str) {
        let spec = &mut self.spec;
        for setting in settings.split_whitespace() {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            match key {
                "replicas" => spec.replicas = value.parse().ok(),
                "surge" => spec.rollout.max_surge = value.parse().unwrap(),
                "unavailable" => spec.rollout.max_unavailable = value.parse().unwrap(),
                "healthyFor" => spec.rollout.healthy_for = value.parse().unwrap(),
                "startWithin" => spec.health.start_within = value.parse().unwrap(),
                "deadline" => spec.rollout.deadline = value.parse().unwrap(),
                "grace" => spec.stop.grace = value.parse().unwrap(),
                "failFast" => spec.rollout.fail_fast = true,
                "drain" => spec.rollout.drain = value.parse().unwrap(),
                "keep" => spec.rollout.keep_revisions = value.parse().unwrap(),
                "onFailure" if value == "pause" => spec.rollout.on_failure = OnFailure::Pause,
                "onFailure" => spec.rollout.on_failure = OnFailure::Rollback,
                "health" => spec.health.check = HealthCheck::Http(value.into()),
                "env" => {
                    spec.env.insert("A".into(), EnvValue::Text(value.into()));
                }
                "volume" => {
                    let per_replica = value == "own";
                    spec.volumes = vec![Volume { per_replica, ..Volume::named(value, "/data") }];
                }
                "novolume" => spec.volumes.clear(),
                "noport" => {
                    spec.ports.clear();
                    spec.health.check = HealthCheck::None(true);
                }
                "port" => {
                    spec.ports = vec![Port {
                        name: "http".into(),
                        port: 8080,
                        protocol: Protocol::Http,
                        listen: None,
                    }];
                    spec.health.check = HealthCheck::Http("/healthz".into());
                }
                other => panic!("no such setting: {other}"),
            }
        }
    }

    /// The user's write: one more generation.
    fn write(&mut self, command: &str) {
        let at = self.now().wall;
        let pinned = format!("sha256:{}", self.spec.image.replace(':', "-"));
        let image = ResolvedImage::without_config(self.spec.image.clone(), pinned);
        let service = self.service.get_or_insert_with(|| {
            let mut service = testing::service("users");
            service.metadata.generation = Generation(0);
            service.spec = self.spec.clone();
            service.image = image.clone();
            service
        });
        service.metadata.generation = service.metadata.generation.next();
        let before = service.clone();
        service.spec = self.spec.clone();
        service.image = image;
        if !before.release().is(service.release()) {
            service.intervention = None;
        }
        service.written_by = command.into();
        service.written_at = at;
    }

    /// The user's word against the rollout, whether or not there is one: the controller refuses some, the planner must
    /// take them all.
    fn intervention(&mut self, kind: Option<InterventionKind>, command: &str) {
        self.write(command);
        let (at, by) = (self.now().wall, command.into());
        self.service.as_mut().unwrap().intervention = kind.map(|kind| RolloutIntervention { kind, by, at });
    }

    fn happens(&mut self, name: &str, to: impl Fn(&mut Live)) {
        to(self.live.get_mut(&ReplicaName::from(name)).unwrap_or_else(|| panic!("no replica {name}")));
        self.observe();
    }

    /// Something happens to some replica, if there is one.
    pub(super) fn nth(&mut self, n: usize, happens: impl Fn(&mut Live)) {
        let count = self.live.len().max(1);
        if let Some(live) = self.live.values_mut().nth(n % count) {
            happens(live);
        }
        self.observe();
    }

    /// From here on nothing fails any more.
    pub(super) fn heal_all(&mut self) {
        self.healed = true;
        for live in self.live.values_mut() {
            live.broken = false;
        }
        self.observe();
    }

    /// It has seen nothing serve yet, and what was not saved is lost.
    pub(super) fn restart_controller(&mut self) {
        self.unsaved = 0;
        self.clock_runs = false;
        for live in self.live.values_mut() {
            live.serving_since = live.serving_since.map(|_| self.now);
        }
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.service.is_none()
    }

    pub(super) fn transcript(&self) -> String {
        self.transcript.clone()
    }

    pub(super) fn now(&self) -> Now {
        let wall = jiff::Timestamp::from_millisecond(i64::try_from(self.now).unwrap()).unwrap();
        Now { mono: Mono(self.now), wall }
    }

    /// Time passes; at most 30 s of it count in one pass.
    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
        if self.clock_runs {
            self.unsaved += millis.min(30_000);
        }
        self.observe();
    }

    /// What is broken stops serving at once, what is ready serves.
    fn observe(&mut self) {
        let names: Vec<ReplicaName> = self.live.keys().cloned().collect();
        for name in names {
            let ready = self.phase(&self.live[&name]) == ReplicaPhase::Ready && !self.silent;
            let live = self.live.get_mut(&name).unwrap();
            live.serving_since = ready.then(|| live.serving_since.unwrap_or(self.now));
        }
    }

    fn phase(&self, live: &Live) -> ReplicaPhase {
        if live.gone || live.leaving_since.is_some_and(|t| self.now - t >= self.gone_after(live)) {
            let kept = matches!(live.replica.desired, Desired::Retain { .. }) && !live.gone;
            return if kept { ReplicaPhase::Retained } else { ReplicaPhase::Gone };
        }
        if live.leaving_since.is_some() {
            return ReplicaPhase::Draining;
        }
        let revision = &self.revisions[&live.replica.revision];
        let age = self.now - live.made_at;
        let image = &revision.image.reference;
        if image.contains("slow") && age < PULLED_AFTER {
            return ReplicaPhase::Pulling;
        }
        if self.fails(live) == Some("late") {
            return ReplicaPhase::Starting { cause: Some(NotReadyCause::unhealthy("GET / → 503")) };
        }
        if (image.contains("bad") && !self.healed) || self.fails(live).is_some() {
            let cause = NotReadyCause::Exited { code: 1, was_healthy: false };
            return ReplicaPhase::BackOff { cause, retry_at: self.now().wall };
        }
        let typo =
            matches!(&revision.spec.health.check, HealthCheck::Http(path) if path == "/typo") && !self.healed;
        let shows = live.moved_at.is_none_or(|t| self.now - t >= TYPO_SHOWS_AFTER);
        if live.broken || (typo && shows) {
            return ReplicaPhase::Unready { cause: NotReadyCause::unhealthy("GET → 500") };
        }
        if age < READY_AFTER { ReplicaPhase::Starting { cause: None } } else { ReplicaPhase::Ready }
    }

    /// From the order to leave to the end.
    fn gone_after(&self, live: &Live) -> u64 {
        let revision = &self.revisions[&live.replica.revision];
        let ignores_signal = revision.image.reference.contains("stubborn");
        if ignores_signal { revision.spec.stop.grace.0 } else { GONE_AFTER }
    }

    /// How the image of a replica fails, as its tag says.
    fn fails(&self, live: &Live) -> Option<&'static str> {
        let image = &self.revisions[&live.replica.revision].image.reference;
        let tags = ["crash", "oom", "noimage", "late"];
        tags.into_iter()
            .find(|tag| image.ends_with(tag))
            .filter(|_| !self.healed && live.leaving_since.is_none())
    }

    /// A container that fails does so once a second; one that is late had all of `startWithin`.
    fn failures(&self, live: &Live) -> u32 {
        let age = self.now - live.made_at;
        match self.fails(live) {
            Some("crash" | "oom") => u32::try_from(age / 1_000).unwrap(),
            Some("late") => u32::from(self.start_within(live).is_some()),
            _ => 0,
        }
    }

    fn start_within(&self, live: &Live) -> Option<Millis> {
        let within = self.revisions[&live.replica.revision].spec.health.start_within;
        (self.now - live.made_at >= within.0).then_some(within)
    }

    fn trial(&self, live: &Live) -> Trial {
        let within = self.revisions[&live.replica.revision].spec.health.start_within;
        let total = if live.serving_since.is_some() { 0 } else { self.now - live.made_at };
        Trial { total: Millis(total).min(within), ..Trial::default() }
    }

    fn diagnosis(&self, live: &Live) -> Option<Diagnosis> {
        let times = self.failures(live).min(3);
        let seen = match self.fails(live)? {
            "crash" => NotReadyCause::Exited { code: 1, was_healthy: false },
            "oom" => NotReadyCause::OutOfMemory { limit: "64Mi".parse().ok(), code: Some(137) },
            "noimage" => NotReadyCause::ImageNotFound { message: "manifest unknown".into() },
            _ => {
                let answer = ProbeAnswer::Status { status: 503 };
                let probe = FailedProbe { message: "GET / → 503".into(), answer };
                NotReadyCause::Unhealthy { probe, start_within: self.start_within(live) }
            }
        };
        let none_yet =
            matches!(seen, NotReadyCause::Exited { .. } | NotReadyCause::OutOfMemory { .. }) && times == 0;
        let within = Millis(u64::from(times) * 1_000);
        let log = vec!["panic: at the disco".into()];
        let evidence = Evidence { times, within, log, listening: None };
        (!none_yet).then_some(Diagnosis { cause: seen, evidence })
    }

    pub(super) fn view(&self) -> ServiceView {
        let replicas = self.live.values().map(|live| ReplicaView {
            replica: live.replica.clone(),
            status: (self.now > live.made_at || live.gone).then(|| ReplicaStatus {
                replica: live.replica.name.clone(),
                phase: self.phase(live),
                attempt: live.history.containers.max(1),
                failures: self.failures(live),
                container: None,
                published: BTreeMap::new(),
                address: None,
                ready_after: None,
                trial: self.trial(live),
                since: self.now().wall,
                diagnosis: self.diagnosis(live),
                cut: None,
                history: live.history.clone(),
            }),
            serving_for: live.serving_since.map(|t| Millis(self.now - t)),
        });
        ServiceView {
            service: self.service.clone().unwrap(),
            rollout: self.rollout.clone(),
            traffic: self.traffic.clone(),
            revisions: self.revisions.clone(),
            outcomes: self.outcomes.clone(),
            replicas: replicas.collect(),
            nodes: self.nodes.iter().map(|h| (*h).into()).collect(),
            unsaved_wait: Millis(self.unsaved),
            volume_removal: VolumeRemovalState::NotRequested,
        }
    }

    /// One plan: checked against the invariants, written to the transcript, committed.
    pub(super) fn pass(&mut self) -> Changes {
        if self.service.is_none() {
            return Changes::default();
        }
        let view = self.view();
        let planned = plan(&view, self.now());
        assert_eq!(planned, plan(&view, self.now()), "a plan depends on its view alone");
        let changes = planned.unwrap();
        if !changes.is_empty() {
            self.write_plan(&changes);
        }
        self.commit(&changes);
        changes
    }

    fn commit(&mut self, changes: &Changes) {
        self.clock_runs = changes.clock_runs;
        if changes.forget_service {
            self.service = None;
        }
        if let Some(rollout) = &changes.rollout {
            self.rollout = Some(rollout.clone());
            self.unsaved = 0;
        }
        if let Some(traffic) = &changes.traffic {
            self.traffic = Some(traffic.clone());
        }
        self.revisions.extend(changes.new_revision.iter().map(|r| (r.number, r.clone())));
        self.outcomes.extend(changes.outcomes.clone());
        for number in &changes.drop_revisions {
            self.revisions.remove(number);
            self.outcomes.remove(number);
        }
        for name in &changes.delete_replicas {
            self.live.remove(name);
        }
        for replica in &changes.put_replicas {
            if let Some(live) = self.live.get_mut(&replica.name) {
                if live.replica.revision != replica.revision {
                    live.moved_at = Some(self.now);
                }
                if !replica.runs() {
                    live.leaving_since.get_or_insert(self.now);
                }
                live.replica = replica.clone();
            } else {
                assert!(self.issued.insert(replica.name.clone()), "{} was issued before", replica.name);
                let live = Live {
                    replica: replica.clone(),
                    made_at: self.now,
                    moved_at: None,
                    leaving_since: None,
                    serving_since: None,
                    broken: false,
                    gone: false,
                    history: ReplicaHistory::default(),
                };
                self.live.insert(replica.name.clone(), live);
            }
        }
        self.observe();
    }

    /// Passes, a second apart, until nothing changes any more and no alarm is set.
    fn run(&mut self) {
        for _ in 0..MOST_PASSES {
            let changes = self.pass();
            let moving = self.live.values().any(|live| {
                (live.leaving_since.is_some() && self.phase(live) != ReplicaPhase::Retained)
                    || matches!(self.phase(live), ReplicaPhase::Starting { .. } | ReplicaPhase::Pulling)
                    || (live.moved_at.is_some_and(|t| self.now - t < TYPO_SHOWS_AFTER))
            });
            if changes.is_empty() && changes.wake_after.is_none() && !moving {
                self.write_end();
                return;
            }
            self.advance(1_000);
        }
        panic!("no end after {MOST_PASSES} passes:\n{}", self.transcript);
    }

    /// Whether the passes come to an end while no time passes and nothing happens.
    pub(super) fn comes_to_rest(&mut self) -> bool {
        (0..MOST_PASSES_AT_ONCE).any(|_| self.pass().is_empty())
    }

    fn write_plan(&mut self, changes: &Changes) {
        let mut lines: Vec<String> = Vec::new();
        if let Some(revision) = &changes.new_revision {
            lines.push(format!(
                "revision {} of {} ({})",
                revision.number, revision.spec.image, revision.created_by.command
            ));
        }
        for event in &changes.events {
            let mark = if event.kind == EventKind::Warning { "!" } else { "✓" };
            lines.push(format!("{mark} {}: {}", event.reason, event.message));
        }
        for replica in &changes.put_replicas {
            let Replica { name, slot, revision, node, desired, .. } = replica;
            lines.push(match (desired, self.live.contains_key(name)) {
                (Desired::Run, false) => format!("+ {name} in slot {slot} on {node}"),
                (Desired::Run, true) => format!("= {name} moves to revision {revision}"),
                (Desired::Retain { cause }, _) => format!("k {name} {cause:?}"),
                (Desired::Remove { cause }, _) => format!("- {name} {cause:?}"),
            });
        }
        lines.extend(changes.traffic.iter().map(traffic_line));
        lines.extend(changes.delete_replicas.iter().map(|name| format!("x {name}")));
        lines.extend(changes.drop_revisions.iter().map(|number| format!("x revision {number}")));
        // A write that only saves the time waited is not worth a line.
        let at = Millis(self.now);
        for (i, line) in lines.iter().enumerate() {
            let time = if i == 0 { at.to_string() } else { String::new() };
            writeln!(self.transcript, "{time:<7} {line}").unwrap();
        }
    }

    fn write_conditions(&mut self) {
        let assessment = coxswain::orchestrator::assess(&self.view());
        for condition in assessment.conditions.iter().filter(|condition| condition.status) {
            writeln!(
                self.transcript,
                "        {:?}: {}  {}",
                condition.kind, condition.reason, condition.message
            )
            .unwrap();
        }
        assessment
            .troubles
            .iter()
            .for_each(|line| writeln!(self.transcript, "        trouble: {line}").unwrap());
    }

    /// A revision with what became of it: nothing is said of one that completed.
    fn kept(&self, number: RevisionNumber) -> String {
        let outcome = match self.outcomes.get(&number).map(|record| &record.outcome) {
            Some(RevisionOutcome::Complete) => return number.to_string(),
            Some(RevisionOutcome::InProgress) => "in progress".to_owned(),
            Some(RevisionOutcome::Failed { .. }) => "failed".to_owned(),
            Some(RevisionOutcome::RolledBack { .. }) => "rolled back".to_owned(),
            Some(RevisionOutcome::Aborted { .. }) => "aborted".to_owned(),
            Some(RevisionOutcome::Superseded { by }) => format!("superseded by {by}"),
            None => "not recorded".to_owned(),
        };
        format!("{number} ({outcome})")
    }

    /// What became of a kept revision.
    pub(super) fn outcome(&self, number: RevisionNumber) -> Option<&RevisionOutcome> {
        self.outcomes.get(&number).map(|record| &record.outcome)
    }

    fn write_end(&mut self) {
        if self.service.is_none() {
            writeln!(self.transcript, "        nothing is left").unwrap();
            return;
        }
        let view = self.view();
        let assessment = coxswain::orchestrator::assess(&view);
        let rollout = self.rollout.as_ref().unwrap();
        let state = match &rollout.state {
            RolloutState::Progressing { .. } if rollout.paused => "Paused".to_owned(),
            RolloutState::Progressing { .. } => "Progressing".to_owned(),
            RolloutState::Complete => "Complete".to_owned(),
            RolloutState::RollingBack { .. } => "RollingBack".to_owned(),
            RolloutState::RolledBack {
                failure: RolloutFailure { revision, reason: FailureReason::Aborted { .. }, .. },
            } => {
                format!("RolledBack, {revision} aborted")
            }
            RolloutState::RolledBack { failure } => format!("RolledBack, {} failed", failure.revision),
            RolloutState::Failed { failure, .. } => format!("Failed, {} failed", failure.revision),
        };
        let (available, wanted) = (assessment.available, assessment.wanted);
        let (at, target) = (Millis(self.now), rollout.target);
        let kept: Vec<String> = self.revisions.keys().map(|number| self.kept(*number)).collect();
        let kept = kept.join(" ");
        writeln!(
            self.transcript,
            "{:<7} the next plan is empty: {available}/{wanted} available, target {target}, {state}; kept: {kept}",
            at.to_string()
        )
        .unwrap();
    }
}

/// How a traffic record shares the requests: `traffic: 90% revision 1, 10% revision 2`.
fn traffic_line(traffic: &Traffic) -> String {
    if traffic.shares.is_empty() {
        return "traffic: all ready replicas alike".to_owned();
    }
    let share = |(revision, weight): (&RevisionNumber, &u32)| {
        format!("{}% revision {revision}", f64::from(*weight) * 100.0 / f64::from(Traffic::WHOLE))
    };
    let shares: Vec<String> = traffic.shares.iter().map(share).collect();
    format!("traffic: {}", shares.join(", "))
}
