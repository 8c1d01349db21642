//! What the daemon's processes do on the usual signals. None of these ends a process without a line in the log, and none that is not
//! meant to stop it ends it at all: `pkill -HUP ctl` reaches all three.
//!
//! Deliberately absent: SIGKILL and SIGSTOP, which no process can handle; signals of limits and of its own faults (SIGXCPU, SIGSEGV,
//! SIGABRT, …); real-time signals.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use nix::libc;
use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalMeaning {
    Stop,
    Reload,
    /// Nothing: sent by mistake, or to a program that takes it for something.
    Nothing,
}

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReceivedSignal {
    pub(super) name: &'static str,
    pub(super) meaning: SignalMeaning,
}

/// Signals that would end a process and that are sent by hand or by other programs.
const HANDLED: [(libc::c_int, ReceivedSignal); 12] = [
    (libc::SIGTERM, stop("SIGTERM")),
    (libc::SIGINT, stop("SIGINT")),
    (libc::SIGQUIT, stop("SIGQUIT")),
    (libc::SIGHUP, ReceivedSignal { name: "SIGHUP", meaning: SignalMeaning::Reload }),
    (libc::SIGUSR1, nothing("SIGUSR1")),
    (libc::SIGUSR2, nothing("SIGUSR2")),
    (libc::SIGALRM, nothing("SIGALRM")),
    (libc::SIGVTALRM, nothing("SIGVTALRM")),
    (libc::SIGPROF, nothing("SIGPROF")),
    (libc::SIGIO, nothing("SIGIO")),
    (libc::SIGPWR, nothing("SIGPWR")),
    (libc::SIGSTKFLT, nothing("SIGSTKFLT")),
];

const fn stop(name: &'static str) -> ReceivedSignal {
    ReceivedSignal { name, meaning: SignalMeaning::Stop }
}

const fn nothing(name: &'static str) -> ReceivedSignal {
    ReceivedSignal { name, meaning: SignalMeaning::Nothing }
}

/// tokio passes a signal on within microseconds.
const DELIVERY: Duration = Duration::from_millis(2);

fn held() -> SigSet {
    HANDLED.iter().filter_map(|(number, _)| nix::sys::signal::Signal::try_from(*number).ok()).collect()
}

/// The system accepts every set of signals.
fn report(set: nix::Result<()>) {
    if let Err(error) = set {
        tracing::error!(%error, "cannot change which signals wait");
    }
}

/// All signals of a process.
#[derive(Debug)]
pub(super) struct Signals {
    watched: Vec<(Signal, ReceivedSignal)>,
}

impl Signals {
    /// From here on no signal ends the process. Must run inside a tokio runtime with I/O.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(super) fn watch() -> anyhow::Result<Self> {
        let watched = HANDLED.into_iter().map(|(number, received)| {
            let stream = signal(SignalKind::from_raw(number));
            Ok((stream.with_context(|| format!("cannot watch for {}", received.name))?, received))
        });
        let signals = Self { watched: watched.collect::<anyhow::Result<_>>()? };
        // of an earlier program of this process
        signals.release();
        Ok(signals)
    }

    /// Signals wait from now on, also for a program that is executed in place of this one.
    pub(super) fn hold(&self) {
        report(held().thread_block());
    }

    /// Signals that wait are delivered.
    pub(super) fn release(&self) {
        report(held().thread_unblock());
    }

    /// A signal that came before [`Self::hold`].
    pub(super) async fn pending(&mut self) -> Option<ReceivedSignal> {
        // tokio passes a signal on when it looks for events
        tokio::time::timeout(DELIVERY, self.next()).await.ok()
    }

    /// The next signal. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> ReceivedSignal {
        poll_fn(|context| {
            let came = self
                .watched
                .iter_mut()
                .find_map(|(stream, received)| stream.poll_recv(context).is_ready().then_some(*received));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Resolves when a child of the supervisor is asked to stop, by the supervisor or by hand. May be cancelled and called
    /// again.
    pub(super) async fn stop(&mut self) {
        loop {
            let received = self.next().await;
            match received.meaning {
                SignalMeaning::Stop => return,
                SignalMeaning::Reload | SignalMeaning::Nothing => {
                    tracing::info!(signal = received.name, "ignored");
                }
            }
        }
    }
}
