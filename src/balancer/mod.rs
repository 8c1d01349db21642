//! The data plane: takes requests, forwards each to an endpoint, and counts what is in flight.
//!
//! Layers, of which each knows only those below: `accept`, `listener` (limits on clients), protocol handler (`http`, `tcp`), `picker`
//! (route, share, endpoint, ejection, claim), `pool` (connections to one endpoint). `thread` puts them together, once per
//! thread; `control` follows the controller.
//! Invariants: a table is acknowledged after all threads took it and its file is in place; picking an endpoint and counting
//! the request are one step, with nothing awaited in between; no lock and no queue is shared by two threads on the way of a
//! request.
//! Deliberately absent: health checks (an endpoint in the table is ready), the store, Docker.

mod accept;
mod acknowledgement;
mod choice;
mod claim;
mod client_limit;
mod client_transport;
mod compile;
mod connect;
mod connection_log;
mod control;
mod counters;
mod drain;
mod ejection;
mod endpoint;
mod eviction;
mod eviction_round;
mod failures;
mod file;
mod health;
mod hold;
mod http;
mod idle_timer;
mod last_requests;
mod limits;
mod listener;
mod load;
mod log_throttle;
mod password_checks;
mod password_verdicts;
mod picker;
#[cfg(test)]
mod picker_tests;
mod pool;
mod refuse;
mod relay;
mod reporter;
mod request_picks;
mod route_gate;
mod save;
mod select;
mod shared_connections;
mod socket_budget;
mod sockets;
mod table;
mod table_view;
mod tcp;
mod thread;
mod threads;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::model::{BalancerId, Incarnation, TrustedProxies};

use shared_connections::SharedConnections;

pub use drain::DrainReason;
pub use health::BalancerHealth;
pub use limits::{BalancerLimits, PER_CLIENT};
pub use sockets::{AcceptSocket, SocketChange};

/// What a balancer is started with.
pub struct BalancerConfig {
    /// How the controller knows it.
    pub id: BalancerId,
    /// Number of threads that serve.
    pub threads: usize,
    /// The sockets to accept on, at start and later. They are used once the first table is installed.
    pub sockets: mpsc::Receiver<SocketChange>,
    /// Unix socket of the controller.
    pub plane: PathBuf,
    /// File of the last good table.
    pub table_file: PathBuf,
    /// Identifies the boot of the machine.
    pub boot_id: String,
    pub clock: Arc<dyn Clock>,
    pub limits: BalancerLimits,
    pub trusted_proxies: TrustedProxies,
    /// Runs first on each thread that serves.
    pub on_thread: fn(),
    /// Called about every second, but only while every thread is alive.
    pub heartbeat: Box<dyn Fn(BalancerHealth) + Send>,
    /// Makes the balancer finish what is in flight, and return.
    pub drain: watch::Receiver<Option<DrainReason>>,
}

/// Why a balancer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BalancerError {
    #[error("a balancer needs at least one thread")]
    NoThread,
    #[error("cannot start a balancer thread")]
    Thread(#[source] std::io::Error),
    #[error("a balancer thread failed")]
    ThreadFailed(#[source] std::io::Error),
    /// A thread ended before it was asked to.
    #[error("a balancer thread ended unexpectedly")]
    ThreadEnded,
}

/// Serves until it is to drain, then finishes what is in flight and returns.
///
/// # Errors
/// If a thread cannot be started, or ends before it was asked to.
pub fn run(config: BalancerConfig) -> Result<(), BalancerError> {
    let BalancerConfig {
        id,
        threads,
        sockets,
        plane,
        table_file,
        boot_id,
        clock,
        limits,
        trusted_proxies,
        on_thread,
        heartbeat,
        drain,
    } = config;
    if threads == 0 {
        return Err(BalancerError::NoThread);
    }
    let are_watched = Arc::new(AtomicBool::new(false));
    let connections = Arc::new(SharedConnections::new(&limits, threads, trusted_proxies, &clock));
    let mut group = threads::ThreadGroup::new();
    let mut joins = Vec::new();
    for index in 0..threads {
        let config = thread::ThreadConfig {
            index,
            limits,
            connections: Arc::clone(&connections),
            clock: Arc::clone(&clock),
            confirmed_ping: Arc::default(),
            are_watched: Arc::clone(&are_watched),
        };
        joins.push(group.spawn(config, on_thread).map_err(BalancerError::Thread)?);
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(BalancerError::Thread)?;
    let file = file::TableFile::new(table_file, boot_id);
    let incarnation = Incarnation(clock.uuid());
    let control = control::Control {
        id,
        acknowledgement: acknowledgement::Acknowledgement::default(),
        counters: counters::CounterRegistry::new(group.len()),
        threads: group,
        sockets,
        saver: save::TableSaver::new(file.clone(), Arc::clone(&clock)),
        loader: load::TableLoader::new(file),
        tls: tls::TlsSiteKeeper::new(),
        reporter: reporter::Reporter::new(incarnation, Arc::clone(&clock), are_watched, connections),
        clock,
        heartbeat,
    };
    let served = runtime.block_on(control.run(plane, drain, &limits));
    // the channels to the threads are closed: each thread ends, and cuts what it still has
    for join in joins {
        match join.join() {
            Ok(ended) => ended.map_err(BalancerError::ThreadFailed)?,
            Err(_) => tracing::error!("a balancer thread panicked"),
        }
    }
    served.map_err(|_| BalancerError::ThreadEnded)
}
