//! One balancer takes over from another: the new one gets the sockets once it can serve as well as the old one, which then
//! finishes its requests and ends.
//!
//! Invariants: at every moment one of them accepts; a new one that does not become useful leaves the old one as it is.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::child::{Child, ChildDuty, ChildExit, ChildSignals};
use super::command_server::Supervised;
use super::liveness::ChildHealth;
use super::role_health::RoleHealth;
use super::role_keeper::{ChildReplacement, Replaced, RoleKeeper, describe};
use super::service_manager::RoleState;

/// A balancer reads its table within two seconds, and the controller's within milliseconds.
const USEFUL_WITHIN: Duration = Duration::from_secs(15);
/// Heartbeats after it was passed the sockets: the second one comes after all threads have answered since.
const ACCEPTS_AFTER: u32 = 2;

/// What happens while a new balancer starts.
enum BalancerReplacement {
    IsUseful,
    NewEnded(String),
    /// Nothing to take over from any more.
    OldEnded(String),
    /// With the reason.
    NotUseful(String),
    Stop,
}

impl RoleKeeper<'_> {
    /// Replaces the balancer; returns the one that serves from now on.
    pub(super) async fn replace_balancer(
        &mut self,
        mut old: Child,
        replacement: ChildReplacement,
    ) -> Option<Child> {
        let wanted = self.wanted_health(&old, replacement.speaks_to_controller);
        let mut new = match self.start() {
            Ok(child) => child,
            Err(error) => {
                let _ = replacement.done.send(Err(format!("cannot start a balancer: {error:#}")));
                return Some(old);
            }
        };
        new.duty = ChildDuty::Prepare;
        let ChildReplacement { speaks_to_controller, done } = replacement;
        let outcome = match self.await_usefulness(&mut new, &mut old, wanted).await {
            BalancerReplacement::IsUseful => self.let_accept(&mut new, &mut old).await,
            outcome => outcome,
        };
        match outcome {
            BalancerReplacement::IsUseful => {
                // without a controller that understands it, it must not be waited for as long
                let asked = if speaks_to_controller { old.retire().await } else { old.terminate() };
                if let Err(error) = asked {
                    tracing::warn!(pid = old.pid, %error, "cannot ask the old balancer to drain");
                }
                let _ = done.send(Ok(Replaced::by(&new, Some(old.pid))));
                self.let_drain(old);
                Some(new)
            }
            BalancerReplacement::OldEnded(how) => {
                tracing::warn!(pid = old.pid, "the old balancer {how}; the new one serves at once");
                self.about.children.gone(old.pid);
                self.of_role().end();
                new.duty = ChildDuty::Serve;
                let _ = done.send(Ok(Replaced::by(&new, None)));
                Some(new)
            }
            BalancerReplacement::NewEnded(how) => {
                self.about.children.gone(new.pid);
                let _ = done.send(Err(format!("the new balancer {how}")));
                Some(old)
            }
            BalancerReplacement::NotUseful(problem) => {
                let _ = done.send(Err(format!("the new balancer {problem}; the old one still serves")));
                self.discard(new).await;
                Some(old)
            }
            BalancerReplacement::Stop => {
                self.discard(new).await;
                Some(old)
            }
        }
    }

    /// At least as useful as the old one, and in sync with a controller that it can be in sync with.
    fn wanted_health(&self, old: &Child, speaks_to_controller: bool) -> ChildHealth {
        let can_be_in_sync = speaks_to_controller && self.health.controller.state() == RoleState::Serving;
        let most = if can_be_in_sync { ChildHealth::InSync } else { ChildHealth::HasTable };
        let of_old = *old.health().borrow();
        of_old.clamp(ChildHealth::Alive, most)
    }

    async fn await_usefulness(
        &self,
        new: &mut Child,
        old: &mut Child,
        wanted: ChildHealth,
    ) -> BalancerReplacement {
        let mut health = new.health();
        let is_useful = async { health.wait_for(|health| *health >= wanted).await.map(drop) };
        match self.watch_both(new, old, is_useful).await {
            BalancerReplacement::NotUseful(_) if *new.health().borrow() < ChildHealth::HasTable => {
                BalancerReplacement::NotUseful(format!("has no table after {USEFUL_WITHIN:?}"))
            }
            outcome => outcome,
        }
    }

    /// Passes the sockets to the new one while the old one accepts too, until it has shown that its threads use them.
    async fn let_accept(&self, new: &mut Child, old: &mut Child) -> BalancerReplacement {
        if let Err(error) = new.pass_sockets(self.about.listeners).await {
            return BalancerReplacement::NotUseful(format!("does not take the sockets ({error})"));
        }
        let mut heartbeats = new.heartbeats();
        let last = *heartbeats.borrow() + ACCEPTS_AFTER;
        let accepts = async { heartbeats.wait_for(|count| *count >= last).await.map(drop) };
        self.watch_both(new, old, accepts).await
    }

    async fn watch_both<E>(
        &self,
        new: &mut Child,
        old: &mut Child,
        ready: impl Future<Output = Result<(), E>>,
    ) -> BalancerReplacement {
        let own = RoleHealth::default();
        tokio::select! {
            exit = new.run(self.about, &own) => BalancerReplacement::NewEnded(describe(exit)),
            exit = old.run(self.about, self.of_role()) => BalancerReplacement::OldEnded(describe(exit)),
            Ok(()) = ready => BalancerReplacement::IsUseful,
            () = sleep(USEFUL_WITHIN) => {
                let problem = "has not acknowledged a table of the controller";
                BalancerReplacement::NotUseful(format!("{problem} after {USEFUL_WITHIN:?}"))
            }
            () = self.signals.stop.cancelled() => BalancerReplacement::Stop,
            () = self.signals.kill.cancelled() => BalancerReplacement::Stop,
        }
    }

    /// It ends, at once unless it may have accepted something. Its end is not waited for here.
    async fn discard(&self, mut new: Child) {
        let asked = match new.duty {
            ChildDuty::Prepare => new.kill(),
            ChildDuty::Serve | ChildDuty::Drain => new.retire().await,
        };
        if let Err(error) = asked {
            tracing::warn!(pid = new.pid, %error, "cannot end the new balancer");
        }
        self.let_drain(new);
    }
}

/// Watches balancers that finish their requests, until all have ended; or until another program continues, which gets those that
/// are left.
pub(super) async fn watch_draining(
    mut incoming: mpsc::UnboundedReceiver<Child>,
    about: Supervised<'_>,
    signals: &ChildSignals,
    hand_over: &CancellationToken,
) -> Vec<Child> {
    let mut draining = FuturesUnordered::new();
    let mut left = Vec::new();
    let mut are_more = true;
    while are_more || !draining.is_empty() {
        tokio::select! {
            child = incoming.recv(), if are_more => match child {
                Some(child) => draining.push(watch_draining_one(child, about, signals, hand_over)),
                None => are_more = false,
            },
            Some(child) = draining.next() => left.extend(child),
        }
    }
    left
}

async fn watch_draining_one(
    mut child: Child,
    about: Supervised<'_>,
    signals: &ChildSignals,
    hand_over: &CancellationToken,
) -> Option<Child> {
    let own = RoleHealth::default();
    let pid = child.pid;
    tokio::select! {
        exit = child.run(about, &own) => match exit {
            Ok(ChildExit::Exited(status)) if status.success() => tracing::info!(pid, "the old balancer has drained"),
            exit => tracing::warn!(pid, "the old balancer {}", describe(exit)),
        },
        () = signals.stop.cancelled() => {
            let _ = child.stop(&signals.kill).await;
        }
        () = hand_over.cancelled() => return Some(child),
    }
    about.children.gone(pid);
    None
}
