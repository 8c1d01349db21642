//! The controller process: wires store, engine, registry, agent, controller and API together.
//!
//! Invariants: the API answers from the start, also while Docker is unavailable; the heartbeats come from the runtime that
//! does the work, so a hung controller stops sending them and is replaced.
//! Deliberately absent: decisions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::agent_options::agent_config;
use super::balancer_locks::BalancerLocks;
use super::certificate_keeper::{CertificateTask, KeptCertificates};
use super::controller_heartbeats::send_heartbeats;
use super::crash_loops::CrashLoopReporter;
use super::daemon_events::DaemonEvents;
use super::disk_watch::watch_disk;
use super::incident_reporter::IncidentReporter;
use super::refusal::Refusal;
use super::signals::Signals;
use super::store_opening::{foreign_containers, instance, open_store};
use super::tcp_listeners::TcpListenerKeeper;
use super::unavailable_store::UnavailableStore;
use super::{ChildSockets, LivenessPipe, ServeOptions, SupervisorClient};
use crate::agent::{self, Agent};
use crate::api;
use crate::clock::{Clock, RealClock};
use crate::controller::{Controller, ControllerParts, KeptStore, StoreKeeper};
use crate::engine::{DockerEngine, Engine};
use crate::model::{BalancerReports, NodeId};
use crate::plane::{ListBalancers, PlaneServer};
use crate::registry::Registry;
use crate::source::{self, SourceParts};
use crate::store::Store;

/// The store's writer and Docker's answers are awaited, so two threads keep both cores of the smallest node busy.
const WORKER_THREADS: usize = 2;
/// How long the end of the process waits for blocking calls: a hung file system must not delay it.
const BLOCKING_CALLS_MAX: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or until the supervisor has ended. Containers keep running.
///
/// # Errors
/// When the store cannot be opened, or a part ends unexpectedly; a [`Refusal`] if a restart would not help.
pub(super) fn run(sockets: ChildSockets, options: &ServeOptions) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let ended = runtime.block_on(serve(sockets, options));
    runtime.shutdown_timeout(BLOCKING_CALLS_MAX);
    ended
}

async fn serve(sockets: ChildSockets, options: &ServeOptions) -> anyhow::Result<()> {
    let ChildSockets { api, plane, liveness, commands } = sockets;
    let shutdown = CancellationToken::new();
    let started = Arc::new(AtomicBool::new(false));
    send_heartbeats(liveness.clone(), Arc::clone(&started), shutdown.clone());
    let supervisor = Arc::new(SupervisorClient::new(commands)?);
    #[cfg(feature = "testing")]
    super::test_relay::start_relay(Arc::clone(&supervisor));
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let store = match open_store(options, &clock).await? {
        Ok(store) => store,
        Err(unavailable) => {
            return wait_for_store(unavailable, api, supervisor, liveness, options, clock, started).await;
        }
    };
    let engine: Arc<dyn Engine> = Arc::new(docker(options));
    let node = agent::identify_node(store.as_ref(), engine.as_ref()).await?;
    let instance = instance(node.as_ref(), options);
    if let Some(unavailable) = foreign_containers(engine.as_ref(), &instance, &store, options).await? {
        store.close().await;
        return wait_for_store(unavailable, api, supervisor, liveness, options, clock, started).await;
    }
    let opened = Arc::clone(&store);
    let keeper = Arc::new(StoreKeeper {
        directory: options.state_dir.clone(),
        kept: KeptStore::Open(Arc::clone(&store)),
        started: clock.mono(),
        clock: Arc::clone(&clock),
        restart: CancellationToken::new(),
        replacing: Arc::default(),
    });
    let replaced = keeper.restart.clone();
    let shared = Arc::clone(&supervisor);
    let daemon =
        Daemon { options, store, engine, clock, supervisor: shared, keeper, shutdown: shutdown.clone() };
    let mut signals = Signals::watch()?;
    let mut parts = daemon.start(node, api, plane).await?;
    started.store(true, Ordering::Relaxed);
    let ended = tokio::select! {
        () = signals.stop() => Ok(()),
        // the successor opens the store that was put in its place
        () = replaced.cancelled() => Ok(()),
        // nothing can be decided without a store; a new process reopens it
        error = opened.ended() => Err(error.into()),
        end = liveness.ended() => end.map_err(anyhow::Error::from),
        part = parts.join_next() => Err(anyhow::anyhow!("a part of the controller ended: {part:?}")),
    };
    shutdown.cancel();
    while parts.join_next().await.is_some() {}
    drop(supervisor);
    ended
}

/// Docker at the configured socket; pulls use this user's own `docker login`.
fn docker(options: &ServeOptions) -> DockerEngine {
    let docker = DockerEngine::new(&options.docker.to_string_lossy());
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    match folder {
        Some(folder) => docker.with_credentials_file(folder.join("config.json")),
        None => docker,
    }
}

/// Waits for another store, until SIGTERM or until the supervisor has ended.
async fn wait_for_store(
    unavailable: UnavailableStore,
    api: std::os::unix::net::UnixListener,
    daemon: Arc<SupervisorClient>,
    liveness: LivenessPipe,
    options: &ServeOptions,
    clock: Arc<dyn Clock>,
    started: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    started.store(true, Ordering::Relaxed);
    let mut signals = Signals::watch()?;
    let stop = CancellationToken::new();
    tokio::select! {
        waited = unavailable.wait(api, daemon, options, clock, stop) => waited,
        () = signals.stop() => Ok(()),
        end = liveness.ended() => Ok(end?),
    }
}

/// What the parts share.
struct Daemon<'a> {
    options: &'a ServeOptions,
    store: Arc<dyn Store>,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    supervisor: Arc<SupervisorClient>,
    keeper: Arc<StoreKeeper>,
    shutdown: CancellationToken,
}

impl Daemon<'_> {
    /// Starts every part as a task.
    async fn start(
        &self,
        node: Option<(NodeId, String)>,
        api: std::os::unix::net::UnixListener,
        plane: std::os::unix::net::UnixListener,
    ) -> anyhow::Result<JoinSet<()>> {
        let first_contact = node.is_none();
        let (node, node_name) = node.unwrap_or_else(|| (NodeId::new(""), String::new()));
        let config = agent_config(self.options, node.clone(), node_name);
        let (reports, received) = watch::channel(BalancerReports::default());
        let registry = Arc::new(Registry::new(Arc::clone(&self.store), received));
        let (agent, handle) = Agent::new(agent::AgentParts {
            config,
            engine: Arc::clone(&self.engine),
            store: Arc::clone(&self.store),
            registry: Arc::clone(&registry),
            clock: Arc::clone(&self.clock),
        })
        .map_err(|error| Refusal(error.to_string()))?;
        let controller = Controller::new(ControllerParts {
            store: Arc::clone(&self.store),
            registry: Arc::clone(&registry),
            clock: Arc::clone(&self.clock),
            agent: handle,
            node,
            http: self.options.http.clone(),
            https: self.options.https.clone(),
            manifests: self.options.manifests.as_ref().map(|directory| directory.display().to_string()),
        });
        let api = listener(api)?;
        let mut parts = JoinSet::new();
        let server = PlaneServer {
            tables: registry.tables(),
            metrics_subscribers: controller.queries().metrics_subscribers(),
            reports,
            running: list_balancers(&self.options.state_dir),
        };
        parts.spawn(server.serve(listener(plane)?, self.shutdown.clone()));
        self.report_own_state(&controller, &mut parts);
        let server = Arc::clone(&controller);
        let keeper = Arc::clone(&self.keeper);
        let daemon = Arc::clone(&self.supervisor);
        let stopped = self.shutdown.clone();
        parts.spawn(async move {
            if let Err(error) = api::server::serve(api, server, keeper, daemon, stopped).await {
                tracing::error!(%error, "the API ended");
            }
        });
        if first_contact {
            // nothing can be placed on a node without an id: Docker's first answer ends this process, and the supervisor
            // restarts it with an id
            parts.spawn(wait_for_first_answer(agent, self.shutdown.clone()));
            return Ok(parts);
        }
        self.keep_entries(&registry, &controller, &mut parts).await;
        parts.spawn(agent.run(self.shutdown.clone()));
        self.follow_directory(&controller, &mut parts);
        parts.spawn(controller.run(self.shutdown.clone()));
        Ok(parts)
    }

    /// Shows which processes of this daemon end again and again, and whether its disk is full.
    fn report_own_state(&self, controller: &Controller, parts: &mut JoinSet<()>) {
        let events = DaemonEvents { store: Arc::clone(&self.store), clock: Arc::clone(&self.clock) };
        let reporter = CrashLoopReporter {
            supervisor: Arc::clone(&self.supervisor),
            conditions: Arc::clone(controller.queries().daemon_conditions()),
            events: events.clone(),
        };
        let stopped = self.shutdown.clone();
        parts.spawn(async move { stopped.run_until_cancelled(reporter.run()).await.unwrap_or_default() });
        let incidents = IncidentReporter { supervisor: Arc::clone(&self.supervisor), events };
        let stopped = self.shutdown.clone();
        parts.spawn(async move { stopped.run_until_cancelled(incidents.run()).await.unwrap_or_default() });
        let KeptStore::Open(store) = &self.keeper.kept else { return };
        let conditions = Arc::clone(controller.queries().daemon_conditions());
        let watch = watch_disk(Arc::clone(store), self.options.state_dir.clone(), conditions);
        let stopped = self.shutdown.clone();
        parts.spawn(async move { stopped.run_until_cancelled(watch).await.unwrap_or_default() });
    }

    /// Follows what the table is made of, keeps the TCP ports open that services listen on, and reads the certificates of their HTTPS
    /// routes; the first table must not come before those.
    async fn keep_entries(&self, registry: &Arc<Registry>, controller: &Controller, parts: &mut JoinSet<()>) {
        let certificates = self.read_certificates(registry, controller).await;
        parts.spawn(certificates.run(self.shutdown.clone()));
        parts.spawn(Arc::clone(registry).follow(self.shutdown.clone()));
        let keeper = TcpListenerKeeper {
            supervisor: Arc::clone(&self.supervisor),
            registry: Arc::clone(registry),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            unopened: Arc::clone(controller.queries().unopened_ports()),
        };
        parts.spawn(keeper.run(self.shutdown.clone()));
    }

    /// Reads the certificates of HTTPS routes.
    async fn read_certificates(&self, registry: &Arc<Registry>, controller: &Controller) -> KeptCertificates {
        let directory = self.options.state_dir.join("certificates");
        // `ctl certificate trust` names it to users in other directories
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        let task = CertificateTask {
            registry: Arc::clone(registry),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            served: Arc::clone(controller.queries().served_certificates()),
            port: self.options.https.first().map(std::net::SocketAddr::port),
            directory,
        };
        task.begin().await
    }

    /// Watches the manifests directory, if there is one.
    fn follow_directory(&self, controller: &Controller, parts: &mut JoinSet<()>) {
        let Some(directory) = &self.options.manifests else { return };
        let source = SourceParts {
            writes: Arc::clone(controller.writes()),
            status: Arc::clone(controller.directory()),
            clock: Arc::clone(&self.clock),
            file_events: true,
        };
        parts.spawn(source::follow(source, directory.clone(), self.shutdown.clone()));
    }
}

/// Ends with Docker's first answer, which stores the node's id.
async fn wait_for_first_answer(agent: Agent, shutdown: CancellationToken) {
    match agent.wait_for_first_answer(shutdown).await {
        Ok(()) => tracing::info!("Docker answers for the first time; starting over with the node's id"),
        Err(error) => tracing::error!(%error, "cannot store the node's id; starting over"),
    }
}

/// Lists the balancers of this state directory: also those of an earlier supervisor.
fn list_balancers(state_dir: &Path) -> ListBalancers {
    let locks = BalancerLocks::of(state_dir);
    Arc::new(move || locks.processes())
}

fn listener(listener: std::os::unix::net::UnixListener) -> anyhow::Result<tokio::net::UnixListener> {
    listener.set_nonblocking(true)?;
    Ok(tokio::net::UnixListener::from_std(listener)?)
}
