//! Reads a script: a host, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain::agent::{
    ActionSubject, AgentMemory, BalancerUrl, NetworkRecord, NodeFacts, NodeState, NodeView, WantedReplica,
    plan,
};
use coxswain::engine::{
    ContainerState, LABEL_APP, LABEL_ATTEMPT, LABEL_CHECK, LABEL_REPLICA, LABEL_REPLICA_CREATED_AT,
    LABEL_REVISION, LABEL_SERVICE, LABEL_STORE, ObservedContainer, ObservedNetwork,
};
use coxswain::model::{
    AppName, Author, BalancerReport, Cause, ContainerId, CutRequests, Desired, Endpoint, EndpointId,
    EndpointOrigin, EndpointState, EndpointStats, EndpointVia, EnvField, EnvValue, Epoch, Evidence,
    ExposureMode, GatewayAnswer, Generation, Health, HealthCheck, Millis, Mono, NotReadyCause, Now, Port,
    Protocol, Pull, Replica, ReplicaName, ReplicaPhase, ReplicaStatus, ResolvedImage, Revision,
    RevisionNumber, RoutingTable, ServiceSpec, TableEndpoint, TableName, TableService, TemplateHash, Trial,
    Volume,
};
use coxswain::probe::ProbeState;
use coxswain::registry::Barrier;
use coxswain::testing;

use super::print;

const STORE: &str = "5708e000-0000-4000-8000-000000000000";
const NETWORK: &str = "coxswain-shop-5708e000";
pub(super) const IMAGE: &str = "sha256:aa11";

struct Script {
    view: NodeView,
    memory: AgentMemory,
    spec: ServiceSpec,
    tables: u64,
}

/// Runs a script; what its plans are.
pub(super) fn run(text: &str) -> Result<String, String> {
    let mut script = Script::new();
    let mut printed = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        if let ["plan", seconds] = words.as_slice() {
            printed += &script.plan(seconds.parse().map_err(|_| line.to_owned())?);
        } else if !words.is_empty() {
            script.line(&words).ok_or_else(|| format!("cannot read `{line}`"))?;
        }
    }
    Ok(printed)
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

/// `c1@10` → container and start.
fn instance(text: &str) -> Option<(ContainerId, jiff::Timestamp)> {
    let (id, seconds) = text.split_once('@')?;
    Some((ContainerId::new(id), at(seconds.parse().ok()?)))
}

fn instance_id(text: &str) -> Option<EndpointId> {
    instance(text).map(|(id, at)| EndpointId::new(&id, at))
}

fn service_of(replica: &str) -> &str {
    replica.rsplitn(3, '-').last().unwrap_or(replica)
}

impl Script {
    fn new() -> Script {
        let facts = NodeFacts {
            node: "host".into(),
            node_name: "harbour".to_owned(),
            instance: "harbour:/state".to_owned(),
            store: STORE.into(),
            pool: "10.209.0.0/16".parse().unwrap(),
            exposure: ExposureMode::Bridge,
            balancer: BalancerUrl::Gateway(8080),
            program: None,
        };
        let mut spec = ServiceSpec::of_image("users:1");
        spec.ports =
            vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.health = Health::with(HealthCheck::Http("/healthz".to_owned()));
        let record = NetworkRecord { subnet: "10.209.0.0/24".parse().unwrap(), reserved: 32 };
        let mut script = Script {
            view: NodeView {
                facts,
                engine_answers: true,
                state: NodeState {
                    networks: [(AppName::new("shop"), record)].into(),
                    ..NodeState::default()
                },
                apps: BTreeSet::from([AppName::new("shop")]),
                replicas: BTreeMap::new(),
                stray_endpoints: Vec::new(),
                revisions: BTreeMap::new(),
                containers: Vec::new(),
                networks: Vec::new(),
                subnets: Vec::new(),
                probes: BTreeMap::new(),
                barrier: Barrier::default(),
                busy: BTreeSet::new(),
            },
            memory: AgentMemory::new(Mono(0)),
            spec,
            tables: 0,
        };
        script.memory.image(IMAGE, true);
        script.network("10.209.0.0/24");
        script
    }

    fn plan(&mut self, seconds: u64) -> String {
        let now = Now { mono: Mono(seconds * 1000), wall: at(i64::try_from(seconds).unwrap()) };
        let (decided, memory) = plan(&self.view, std::mem::take(&mut self.memory), now);
        self.memory = memory;
        print::plan(seconds, &decided)
    }

    fn network(&mut self, subnet: &str) {
        let labels = [(LABEL_STORE, STORE), (LABEL_APP, "shop")];
        self.view.networks = vec![ObservedNetwork {
            id: "n".to_owned(),
            name: NETWORK.to_owned(),
            subnets: vec![subnet.to_owned()],
            labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        }];
        self.view.subnets.push(subnet.to_owned());
    }

    fn line(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["spec", settings @ ..] => settings.iter().try_for_each(|s| self.setting(s))?,
            ["replica", name, desired] => self.replica(name, desired)?,
            ["made", replica, seconds] => {
                let wanted = self.view.replicas.get_mut(&ReplicaName::new(*replica))?;
                wanted.replica.created_at = Some(at(seconds.parse().ok()?));
            }
            ["labelled", id, seconds] => {
                let container = self.view.containers.iter_mut().find(|c| c.id.as_str() == *id)?;
                let made = at(seconds.parse().ok()?).to_string();
                container.labels.insert(LABEL_REPLICA_CREATED_AT.to_owned(), made);
            }
            ["container", id, replica, attempt, state, error @ ..] => {
                self.container(STORE, id, replica, attempt, state, &error.join(" "))?;
            }
            ["foreign", id, replica, attempt, state] => {
                self.container("other", id, replica, attempt, state, "")?;
            }
            ["gone", id] => self.view.containers.retain(|c| c.id.as_str() != *id),
            ["program"] => self.view.facts.program = Some("/usr/bin/ctl".into()),
            ["gateway", answer, seconds] => {
                let answer = match *answer {
                    "accepted" => Some(GatewayAnswer::Accepted),
                    "rejected" => Some(GatewayAnswer::Rejected),
                    "silence" => Some(GatewayAnswer::Silence),
                    "unknown" => None,
                    _ => return None,
                };
                let at = Mono(seconds.parse::<u64>().ok()? * 1000);
                let target = ([10, 209, 0, 1], 8080).into();
                self.memory.gateway_checked(&AppName::new("shop"), target, answer, at);
            }
            ["check", id, state] => {
                self.container(STORE, id, "check", "1", state, "")?;
                let container = self.view.containers.last_mut()?;
                let labels = [(LABEL_STORE, STORE), (LABEL_APP, "shop"), (LABEL_CHECK, "gateway")];
                container.labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            }
            ["examined", replica, id] => {
                let (replica, id) = (ReplicaName::new(*replica), ContainerId::new(*id));
                self.memory.examined(&replica, &id, Evidence::default(), Mono(0));
            }
            ["idle", "gateway"] => {
                self.view.busy.remove(&ActionSubject::GatewayCheck(AppName::new("shop")));
            }
            ["busy", "gateway"] => {
                self.view.busy.insert(ActionSubject::GatewayCheck(AppName::new("shop")));
            }
            ["reach", "published"] => self.view.facts.exposure = ExposureMode::Published,
            ["published", id, port] => {
                let container = self.view.containers.iter_mut().find(|c| c.id.as_str() == *id)?;
                container.published = [(8080, port.parse().ok()?)].into();
            }
            ["off-network", id] => {
                self.view.containers.iter_mut().find(|c| c.id.as_str() == *id)?.addresses.clear();
            }
            ["status", replica, phase, attempt, failures, container @ ..] => {
                self.status(
                    replica,
                    phase,
                    attempt.parse().ok()?,
                    failures.parse().ok()?,
                    container.first(),
                )?;
            }
            ["cut", replica, requests] => {
                let replica = ReplicaName::new(*replica);
                let status = self.view.replicas.get_mut(&replica)?.status.as_mut()?;
                let requests = requests.parse().ok();
                status.cut = Some(CutRequests { replica, requests, drain: Some(Millis::secs(20)) });
            }
            ["endpoint", replica, on, state] => self.endpoint(replica, on, state)?,
            ["no-endpoint", replica] => {
                self.view.replicas.get_mut(&ReplicaName::new(*replica))?.endpoint = None;
            }
            ["probe", on, state] => {
                self.view.probes.insert(instance_id(on)?, probe(state)?);
            }
            ["table", on @ ..] => self.table(on)?,
            ["ack", revision, in_flight @ ..] => self.ack(revision.parse().ok()?, in_flight.first())?,
            ["silent"] => self.view.barrier.reports = testing::reports(None),
            ["image", state] => self.memory.image(IMAGE, *state == "present"),
            ["network", subnet] => self.network(subnet),
            ["no-network"] => {
                self.view.networks.clear();
                self.view.subnets.clear();
            }
            ["subnet", subnet] => self.view.subnets.push((*subnet).to_owned()),
            ["record", subnet, reserved] => {
                let record = NetworkRecord { subnet: subnet.parse().ok()?, reserved: reserved.parse().ok()? };
                self.view.state.networks.insert(AppName::new("shop"), record);
            }
            ["no-record"] => self.view.state.networks.clear(),
            ["no-apps"] => self.view.apps.clear(),
            ["tags", tags @ ..] => self.view.state.tags = tags.iter().map(|t| (*t).to_owned()).collect(),
            ["mounts", id, volume] => {
                let container = self.view.containers.iter_mut().find(|c| c.id.as_str() == *id)?;
                container.volumes.insert((*volume).to_owned());
            }
            ["looked-up", replica, seconds, missing @ ..] => {
                let missing = missing.iter().map(|name| (*name).to_owned()).collect();
                let at = Mono(seconds.parse::<u64>().ok()? * 1000);
                self.memory.volumes_found(&ReplicaName::new(*replica), missing, at);
            }
            ["known", volume] => {
                self.view.state.volumes.insert((*volume).to_owned(), ["users".into()].into());
            }
            ["busy", "network"] => {
                self.view.busy.insert(ActionSubject::Network(NETWORK.to_owned()));
            }
            ["busy", replica] => {
                self.view.busy.insert(ActionSubject::Replica(ReplicaName::new(*replica)));
            }
            ["away"] => {
                self.view.engine_answers = false;
                self.memory.engine_lost();
                self.memory.image(IMAGE, true);
            }
            ["back"] => self.view.engine_answers = true,
            ["signalled", on, seconds] => {
                self.memory.signalled(&instance_id(on)?, false, Mono(seconds.parse::<u64>().ok()? * 1000));
            }
            ["killed", on, seconds] => {
                self.memory.signalled(&instance_id(on)?, true, Mono(seconds.parse::<u64>().ok()? * 1000));
            }
            ["not-connectable", replica, id] => {
                self.memory.not_connectable(&ReplicaName::new(*replica), &ContainerId::new(*id), NETWORK);
            }
            ["refused", id, message @ ..] => {
                self.memory.start_refused(&ContainerId::new(*id), message.join(" "), true);
            }
            _ => return None,
        }
        Some(())
    }

    fn setting(&mut self, setting: &str) -> Option<()> {
        match setting {
            "health=none" => self.spec.health = Health::with(HealthCheck::None(true)),
            "health=exec" => self.spec.health = Health::with(HealthCheck::Exec(vec!["/app".to_owned()])),
            "port=none" => {
                self.spec.ports.clear();
                self.spec.health = Health::default_for(false);
            }
            "volumes" => {
                let volume = |name: &str, read_only, per_replica| {
                    let (name, path) = (name.to_owned(), format!("/{name}"));
                    Volume { read_only, per_replica, ..Volume::named(name, path) }
                };
                self.spec.volumes =
                    vec![volume("data", false, false), volume("ro", true, false), volume("own", false, true)];
            }
            "pull=never" => self.spec.pull = Pull::Never,
            "env=balancer" => {
                self.spec.env.insert("B".to_owned(), EnvValue::Field { field: EnvField::BalancerUrl });
            }
            "env=none" => self.spec.env.clear(),
            "no-listener" => self.view.facts.balancer = BalancerUrl::Unknown,
            _ => return None,
        }
        Some(())
    }

    fn replica(&mut self, name: &str, desired: &str) -> Option<()> {
        let cause = Cause::ScaledDown;
        let desired = match desired {
            "run" => Desired::Run,
            "keep" => Desired::Retain { cause },
            "remove" => Desired::Remove { cause },
            "delete" => Desired::Remove { cause: Cause::Deleted },
            "none" => {
                let gone = self.view.replicas.remove(&ReplicaName::new(name))?;
                self.view.stray_endpoints.extend(gone.endpoint);
                return Some(());
            }
            _ => return None,
        };
        let service = service_of(name);
        let revision = Arc::new(Revision {
            service: service.into(),
            number: RevisionNumber(1),
            generation: Generation(1),
            spec: self.spec.clone(),
            image: ResolvedImage::without_config("users:1", IMAGE),
            restarts: 0,
            hash: TemplateHash::new("h"),
            hash_schema: 1,
            created_at: at(0),
            created_by: Author::default(),
        });
        self.view.revisions.insert((service.into(), RevisionNumber(1)), revision.clone());
        let replica = Replica {
            name: name.into(),
            service: service.into(),
            app: "shop".into(),
            slot: 1,
            revision: RevisionNumber(1),
            hash: TemplateHash::new("h"),
            node: "host".into(),
            created_at: None,
            desired,
        };
        let old = self.view.replicas.remove(&replica.name);
        let (status, endpoint) = old.map_or((None, None), |w| (w.status, w.endpoint));
        let wanted = WantedReplica { replica, revision: Some(revision), status, endpoint };
        self.view.replicas.insert(ReplicaName::new(name), wanted);
        Some(())
    }

    fn container(
        &mut self,
        store: &str,
        id: &str,
        replica: &str,
        attempt: &str,
        state: &str,
        error: &str,
    ) -> Option<()> {
        let (state, started) = state.split_once('@').map_or((state, None), |(s, t)| (s, t.parse().ok()));
        let state = match state {
            "created" => ContainerState::Created,
            "running" => ContainerState::Running,
            "paused" => ContainerState::Paused,
            "dead" => ContainerState::Dead,
            "removing" => ContainerState::Removing,
            other => ContainerState::Exited {
                code: other.strip_prefix("exited:")?.parse().ok()?,
                oom_killed: false,
            },
        };
        let node: u32 = id.trim_start_matches(char::is_alphabetic).parse().ok()?;
        let address = std::net::Ipv4Addr::new(10, 209, 0, u8::try_from(100 + node).ok()?);
        let up = matches!(state, ContainerState::Running | ContainerState::Paused);
        let labels = [
            (LABEL_STORE, store.to_owned()),
            (LABEL_SERVICE, service_of(replica).to_owned()),
            (LABEL_REVISION, "1".to_owned()),
            (LABEL_REPLICA, replica.to_owned()),
            (LABEL_ATTEMPT, attempt.to_owned()),
            ("coxswain.address", address.to_string()),
        ];
        self.view.containers.retain(|c| c.id.as_str() != id);
        self.view.containers.push(ObservedContainer {
            id: ContainerId::new(id),
            name: ReplicaName::new(replica).container_name(attempt.parse().ok()?),
            labels: labels.map(|(k, v)| (k.to_owned(), v)).into(),
            state,
            started_at: started.map(at),
            finished_at: None,
            published: BTreeMap::new(),
            volumes: BTreeSet::new(),
            addresses: if up { [(NETWORK.to_owned(), address.into())].into() } else { BTreeMap::new() },
            error: error.to_owned(),
        });
        Some(())
    }

    fn status(
        &mut self,
        replica: &str,
        phase: &str,
        attempt: u32,
        failures: u32,
        container: Option<&&str>,
    ) -> Option<()> {
        let phase = match phase {
            "waiting" => ReplicaPhase::Waiting { cause: None },
            "pulling" => ReplicaPhase::Pulling,
            "starting" => ReplicaPhase::Starting { cause: None },
            "ready" => ReplicaPhase::Ready,
            "unready" => ReplicaPhase::Unready { cause: NotReadyCause::unhealthy("GET /healthz → 503") },
            "draining" => ReplicaPhase::Draining,
            "stopping" => ReplicaPhase::Stopping,
            "kept" => ReplicaPhase::Retained,
            "gone" => ReplicaPhase::Gone,
            _ => return None,
        };
        let container = container.map(|id| ContainerId::new(*id));
        let known = self.view.containers.iter().find(|c| Some(&c.id) == container.as_ref());
        let address = known.and_then(|c| c.labels.get("coxswain.address")?.parse().ok());
        let ready_after = (phase == ReplicaPhase::Ready).then_some(coxswain::model::Millis(400));
        let wanted = self.view.replicas.get_mut(&ReplicaName::new(replica))?;
        let replica = ReplicaName::new(replica);
        let since = at(0);
        wanted.status = Some(ReplicaStatus {
            replica,
            phase,
            attempt,
            failures,
            container,
            published: BTreeMap::new(),
            address,
            ready_after,
            trial: Trial::default(),
            since,
            diagnosis: None,
            cut: None,
            history: Default::default(),
        });
        Some(())
    }

    fn endpoint(&mut self, replica: &str, on: &str, state: &str) -> Option<()> {
        let (container, started_at) = instance(on)?;
        let known = self.view.containers.iter().find(|c| c.id == container);
        let published = known.and_then(|c| c.published.get(&8080).copied());
        let address = match published {
            Some(_) => Some(std::net::Ipv4Addr::LOCALHOST.into()),
            None => known.and_then(|c| c.labels.get("coxswain.address")?.parse().ok()),
        };
        let endpoint = Endpoint {
            service: service_of(replica).into(),
            origin: EndpointOrigin::Managed { replica: replica.into(), container, started_at },
            revision: RevisionNumber(1),
            address: address.unwrap_or([10, 209, 0, 99].into()),
            ports: [("http".to_owned(), published.unwrap_or(8080))].into(),
            http2_ports: [].into(),
            via: if published.is_some() { EndpointVia::DockerProxy } else { EndpointVia::Direct },
            state: match state {
                "ready" => EndpointState::Ready,
                "unready" => EndpointState::Unready,
                "draining" => EndpointState::Draining,
                _ => return None,
            },
            weight: Endpoint::WEIGHT,
        };
        match self.view.replicas.get_mut(&ReplicaName::new(replica)) {
            Some(wanted) => wanted.endpoint = Some(endpoint),
            None => self.view.stray_endpoints.push(endpoint),
        }
        Some(())
    }

    fn table(&mut self, on: &[&str]) -> Option<()> {
        self.tables += 1;
        let endpoint = |text: &&str| {
            let id = instance_id(text)?;
            Some(TableEndpoint::managed(id, "r".into(), RevisionNumber(1), [10, 209, 0, 9].into(), [].into()))
        };
        let endpoints = on.iter().map(endpoint).collect::<Option<_>>()?;
        let services = [("users".into(), TableService { endpoints, ..TableService::default() })].into();
        let table = RoutingTable { services, ..RoutingTable::empty(name(self.tables)) };
        Arc::make_mut(&mut self.view.barrier.published).record(&table);
        Some(())
    }

    fn ack(&mut self, revision: u64, in_flight: Option<&&str>) -> Option<()> {
        let in_flight = in_flight.map_or(Some(0), |text| text.parse().ok())?;
        let stats = EndpointStats { in_flight, ..EndpointStats::default() };
        let instances =
            self.view.containers.iter().filter_map(|c| Some(EndpointId::new(&c.id, c.started_at?)));
        let report = BalancerReport {
            applied: Some(name(revision)),
            endpoints: instances.map(|id| (id, stats)).collect(),
            ..testing::report("i")
        };
        self.view.barrier.reports = testing::reports(Some(report));
        Some(())
    }
}

fn name(revision: u64) -> TableName {
    TableName { store: STORE.into(), epoch: Epoch(1), revision }
}

fn probe(state: &str) -> Option<ProbeState> {
    let (since, last) = (Mono(0), "GET /healthz → 503".into());
    Some(match state {
        "ready" => ProbeState::Ready { since },
        "starting" => ProbeState::Starting { since, last: Some(last) },
        "failing" => ProbeState::Failing { since, last },
        "late" => ProbeState::TooLate { since, last },
        _ => return None,
    })
}
