//! One balancer thread: puts its listeners, protocol handler and picker together, and obeys the controlling thread.
//!
//! Everything in here belongs to the thread alone, so that no request takes a lock or waits in a queue for another thread.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::http::{HttpHandler, HttpPool};
use super::limits::{BalancerLimits, UPSTREAM_IDLE};
use super::listener::{ClientConnections, accept};
use super::picker::Picker;
use super::shortage::ShortageLog;
use super::table::CompiledTable;
use crate::clock::Clock;
use crate::model::ListenerId;

/// From the controlling thread.
#[derive(Debug)]
pub(super) enum ThreadCommand {
    /// Serve from this table; `taken` is answered once every later choice is made from it.
    Table { table: Arc<CompiledTable>, taken: oneshot::Sender<()> },
    /// Start to accept connections.
    Open,
    /// Confirm this number, to show that the thread is alive.
    Ping(u64),
    /// Stop accepting, finish what is in flight, end.
    Drain,
}

pub(super) struct ThreadConfig {
    pub(super) index: usize,
    pub(super) sockets: Vec<std::net::TcpListener>,
    pub(super) limits: BalancerLimits,
    pub(super) clock: Arc<dyn Clock>,
    /// The last ping that the thread confirmed.
    pub(super) confirmed_ping: Arc<AtomicU64>,
    pub(super) are_watched: Arc<AtomicBool>,
}

/// Serves until the thread has drained on command, or until the controlling thread is gone.
pub(super) async fn run(config: ThreadConfig, mut commands: mpsc::Receiver<ThreadCommand>) -> io::Result<()> {
    let ThreadConfig { index, sockets, limits, clock, confirmed_ping, are_watched } = config;
    let mut sockets: Vec<TcpListener> =
        sockets.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
    let picker: Rc<Picker<HttpPool>> = Rc::new(Picker::new(index, Arc::clone(&clock), are_watched));
    let connections = Rc::new(ClientConnections::new(limits));
    let shortages = Rc::new(ShortageLog::new(Arc::clone(&clock)));
    let draining = CancellationToken::new();
    let http = Rc::new(HttpHandler {
        // all sockets of today are of one listener
        listener: ListenerId::public_http(),
        picker: Rc::clone(&picker),
        shortages: Rc::clone(&shortages),
        limits,
        clock,
        draining: draining.clone(),
    });
    tokio::task::spawn_local(sweep(Rc::clone(&picker)));
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            () = connections.drained(), if draining.is_cancelled() => return Ok(()),
        };
        match command {
            Some(ThreadCommand::Table { table, taken }) => {
                picker.install(table);
                // the receiver is gone only while the process ends
                let _ = taken.send(());
            }
            Some(ThreadCommand::Open) => {
                for socket in sockets.drain(..) {
                    let accepting = accept(
                        socket,
                        Rc::clone(&connections),
                        Rc::clone(&http),
                        Rc::clone(&shortages),
                        draining.clone(),
                    );
                    tokio::task::spawn_local(accepting);
                }
            }
            Some(ThreadCommand::Ping(number)) => confirmed_ping.store(number, Ordering::Relaxed),
            Some(ThreadCommand::Drain) => draining.cancel(),
            None => return Ok(()),
        }
    }
}

async fn sweep(picker: Rc<Picker<HttpPool>>) {
    loop {
        tokio::time::sleep(UPSTREAM_IDLE / 4).await;
        picker.sweep();
    }
}
