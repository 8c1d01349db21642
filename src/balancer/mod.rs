//! The data plane: takes requests, finds an endpoint that answers, and counts what is in flight.
//!
//! Purpose: `control` follows the controller and acknowledges; each `worker` thread has its own sockets, runtime,
//! connections to endpoints and reference to the table; `route` and `select` decide (pure); `target` counts.
//! Invariants: a table is acknowledged after all threads took it and its file is in place; choosing an endpoint and
//! counting the request are one step, with nothing awaited in between; no lock and no queue is shared by two threads on
//! the way of a request.
//! Deliberately absent: health checks (an endpoint in the table is ready), the store, Docker.

mod control;
mod failures;
mod file;
mod http;
mod limits;
mod pending;
mod route;
mod select;
mod table;
mod target;
mod upstream;
mod worker;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::Incarnation;

pub use limits::BalancerLimits;

/// A table waits for its answer, so no more than a table, a ping and a drain are ever queued.
const COMMANDS_MAX: usize = 4;

/// What a balancer is started with.
pub struct BalancerConfig {
    /// One set of listeners per thread: the thread accepts from each of its own. Already bound and listening.
    pub threads: Vec<Vec<TcpListener>>,
    /// Unix socket of the controller.
    pub plane: PathBuf,
    /// The last good table.
    pub table_file: PathBuf,
    /// Tells this start of the machine from earlier ones.
    pub boot_id: String,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Bounds on clients.
    pub limits: BalancerLimits,
    /// Called by each thread that serves, before all else.
    pub on_thread: fn(),
    /// Called about every second, only while every thread answers.
    pub heartbeat: Box<dyn Fn() + Send>,
    /// Stop accepting, finish what is in flight, return.
    pub stop: CancellationToken,
}

/// Why a balancer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BalancerError {
    /// There is nothing to accept from.
    #[error("a balancer needs at least one thread, and each thread a listener")]
    NoListener,
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread of the balancer")]
    Thread(#[source] std::io::Error),
    /// A listener is of no use.
    #[error("cannot use a listener")]
    Listener(#[source] std::io::Error),
}

/// Serves until `stop`, then finishes what is in flight and returns.
pub fn run(config: BalancerConfig) -> Result<(), BalancerError> {
    let BalancerConfig { threads, plane, table_file, boot_id, clock, limits, on_thread, heartbeat, stop } =
        config;
    if threads.is_empty() || threads.iter().any(Vec::is_empty) {
        return Err(BalancerError::NoListener);
    }
    for listener in threads.iter().flatten() {
        listener.set_nonblocking(true).map_err(BalancerError::Listener)?;
    }
    let incarnation = Incarnation(clock.uuid());
    let measures = Arc::new(AtomicBool::new(false));
    let mut handles = Vec::new();
    let mut joins = Vec::new();
    for (thread, listeners) in threads.into_iter().enumerate() {
        let answered = Arc::default();
        let setup = worker::Setup {
            thread,
            listeners,
            limits,
            clock: Arc::clone(&clock),
            answered: Arc::clone(&answered),
            measures: Arc::clone(&measures),
        };
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        joins.push(spawn(setup, receiver, on_thread)?);
        handles.push(control::Handle { commands, answered });
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(BalancerError::Thread)?;
    let file = file::TableFile::new(table_file, boot_id);
    let surroundings = control::Surroundings { file, heartbeat, clock, measures };
    let control = control::Control::new(handles, incarnation, surroundings);
    runtime.block_on(control.run(plane, stop, limits.drain));
    // the channels to the threads are closed: each ends, and cuts what it still has
    for join in joins {
        match join.join() {
            Ok(ended) => ended.map_err(BalancerError::Listener)?,
            Err(_) => tracing::error!("a thread of the balancer panicked"),
        }
    }
    Ok(())
}

type Ended = Result<(), std::io::Error>;

fn spawn(
    setup: worker::Setup,
    commands: mpsc::Receiver<worker::Command>,
    on_thread: fn(),
) -> Result<JoinHandle<Ended>, BalancerError> {
    let body = move || {
        let _end_process = EndProcess;
        on_thread();
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(worker::run(setup, commands))
    };
    thread::Builder::new().name("balancer".to_owned()).spawn(body).map_err(BalancerError::Thread)
}

/// Ends the process when the thread that holds it panics. A listening socket that no thread accepts from swallows its
/// share of all connections; a new process, started at once on the same sockets, loses only what is in flight. (A panic
/// in the task of one connection ends that connection alone.)
struct EndProcess;

impl Drop for EndProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}
