//! Keeps those TCP listeners open that services declare: asks the supervisor, and shows which ones it cannot open.
//!
//! Invariants: nothing is closed before it is known what services declare; what cannot be opened is tried again for as long as it is
//! declared.
//! Deliberately absent: what to open (`listener_plan`), sockets (the supervisor's), where connections go (the balancer's table).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::listener_plan::{DeclaredListeners, declared, plan};
use super::listener_refusal::CommandRefusal;
use super::{SupervisorCallError, SupervisorClient};
use crate::clock::Clock;
use crate::controller::UnopenedPorts;
use crate::events::{EventWriter, append_to};
use crate::model::{
    Backoff, Event, EventKind, EventReason, ListenerId, Millis, Mono, Service, ServiceName, key,
};
use crate::registry::{Registry, table::tcp_listeners};
use crate::store::{Store, StoreError, Txn};

/// Waits between two tries to open a port: who frees it need not wait for long, and a search for the port's owner costs time.
const RETRY: Backoff = Backoff::new(Millis::secs(1), Millis::secs(30));
/// The supervisor is asked at least this often, should a listener have been closed by other means.
const RESYNC_EVERY: Millis = Millis::secs(30);

/// What is needed to keep listeners open.
pub(super) struct TcpListenerKeeper {
    pub(super) supervisor: Arc<SupervisorClient>,
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) unopened: Arc<UnopenedPorts>,
}

/// Why listeners are not open.
type Refusals = BTreeMap<ListenerId, (ServiceName, String)>;

/// It is not known what is to be open, or what is.
#[derive(Debug, thiserror::Error)]
enum KeeperError {
    #[error("cannot read which TCP listeners services declare")]
    Store(#[from] StoreError),
    #[error("the supervisor does not say which TCP listeners are open")]
    Supervisor(#[from] SupervisorCallError),
}

/// What the last pass found, and when the next one is due.
struct KeptListeners {
    /// `None` before the first pass.
    wanted: Option<DeclaredListeners>,
    refused: Refusals,
    /// In a row.
    failures: u32,
    due: Mono,
}

impl KeptListeners {
    fn new(now: Mono) -> Self {
        Self { wanted: None, refused: Refusals::new(), failures: 0, due: now }
    }

    fn is_settled(&self, wanted: &DeclaredListeners, now: Mono) -> bool {
        self.wanted.as_ref() == Some(wanted) && now < self.due
    }

    fn note_pass(&mut self, wanted: DeclaredListeners, refused: Refusals, now: Mono) {
        if refused.is_empty() || self.wanted.as_ref() != Some(&wanted) {
            self.failures = 0;
        }
        self.wanted = Some(wanted);
        self.refused = refused;
        if self.refused.is_empty() {
            self.due = now.after(RESYNC_EVERY);
        } else {
            self.note_failure(now);
        }
    }

    fn note_failure(&mut self, now: Mono) {
        self.failures += 1;
        self.due = now.after(RETRY.wait(self.failures));
    }
}

impl TcpListenerKeeper {
    /// Keeps them open until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.follow()).await.unwrap_or_default();
    }

    async fn follow(&self) {
        let mut tables = self.registry.tables();
        let mut state = KeptListeners::new(self.clock.mono());
        loop {
            let published = tables.borrow_and_update().as_ref().map(|table| declared(&table.listeners));
            if let Err(error) = self.pass(published, &mut state).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot keep TCP listeners open");
                state.note_failure(self.clock.mono());
            }
            tokio::select! {
                changed = tables.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(state.due.since(self.clock.mono()).std()) => {}
            }
        }
    }

    /// Opens and closes what the table, or without one the store, declares, if that is due.
    async fn pass(
        &self,
        published: Option<DeclaredListeners>,
        state: &mut KeptListeners,
    ) -> Result<(), KeeperError> {
        let wanted = match published {
            Some(listeners) => listeners,
            // before Docker has answered there is no table, and clients of a balancer that has its table file are served
            None => self.stored().await?,
        };
        if state.is_settled(&wanted, self.clock.mono()) {
            return Ok(());
        }
        let refused = self.converge(&wanted).await?;
        self.report(&state.refused, &refused, &wanted).await;
        state.note_pass(wanted, refused, self.clock.mono());
        Ok(())
    }

    async fn stored(&self) -> Result<DeclaredListeners, StoreError> {
        let entries = self.store.list(key::SERVICES).await?.entries;
        let services: Vec<Service> = entries.iter().map(|entry| entry.decode()).collect::<Result<_, _>>()?;
        Ok(declared(&tcp_listeners(&services)))
    }

    /// Returns what could not be opened.
    ///
    /// # Errors
    /// The supervisor does not say what is open: no listener counts as refused for that.
    async fn converge(&self, wanted: &DeclaredListeners) -> Result<Refusals, SupervisorCallError> {
        let open = self.supervisor.list_listeners().await?;
        let plan = plan(wanted, &open);
        for id in plan.close {
            if let Err(error) = self.supervisor.close_listener(id.clone()).await {
                tracing::warn!(listener = %id, %error, "cannot close a listener");
            }
        }
        let mut refused = Refusals::new();
        for listener in plan.open {
            let Some(declared) = wanted.get(&listener.id) else { continue };
            let id = listener.id.clone();
            match self.supervisor.open_listener(listener).await {
                Ok(_) => {}
                Err(SupervisorCallError::Refused(refusal)) => {
                    let message = format!("{} is not open: {}", declared.address, reason(&refusal));
                    refused.insert(id, (declared.service.clone(), message));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Shows what is not open, and writes an event when that begins, changes its reason, or ends.
    async fn report(&self, before: &Refusals, now: &Refusals, wanted: &DeclaredListeners) {
        let mut shown: BTreeMap<ServiceName, Vec<String>> = BTreeMap::new();
        for (service, message) in now.values() {
            shown.entry(service.clone()).or_default().push(message.clone());
        }
        self.unopened.set(shown);
        for (id, (service, message)) in now {
            if before.get(id).map(|(_, message)| message) != Some(message) {
                let message = format!("{message}; it is tried again");
                self.write(service, EventKind::Warning, EventReason::PortUnavailable, message).await;
            }
        }
        for id in before.keys().filter(|id| !now.contains_key(*id)) {
            if let Some(listener) = wanted.get(id) {
                let message = format!("{} is open", listener.address);
                self.write(&listener.service, EventKind::Normal, EventReason::PortOpened, message).await;
            }
        }
    }

    async fn write(&self, service: &ServiceName, kind: EventKind, reason: EventReason, message: String) {
        let event = Event {
            at: self.clock.wall(),
            object: format!("service/{service}"),
            kind,
            reason,
            message,
            cut: Vec::new(),
        };
        let written = async {
            let ops = append_to(&*self.store, service, EventWriter::Daemon, &[event]).await?;
            self.store.txn(Txn { compare: Vec::new(), ops }).await
        };
        if let Err(error) = written.await {
            tracing::warn!(%service, %error, "cannot write the event of a TCP listener");
        }
    }
}

/// Without the listener and its address, which the message names already.
fn reason(refusal: &CommandRefusal) -> String {
    match refusal {
        CommandRefusal::Open { reason, .. } => reason.to_string(),
        other => other.to_string(),
    }
}
