//! The listeners that the supervisor keeps open: those of the command line for its life, others until they are closed.
//!
//! Invariants: a listener's sockets stay bound while children are replaced; a refused command changes nothing.
//! Deliberately absent: accepting, and what the listeners lead to.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::watch;

use super::listener_refusal::{CommandRefusal, OpenRefusal};
use super::supervisor_command::{ListedListener, OpenListener};
use super::tcp_sockets::{BoundAddress, bind_address, share_socket};
use super::{StartError, port_owner};
use crate::model::{ListenerId, ProtocolKind, io_error_text};

/// Each listener costs a descriptor per balancer thread in supervisor and balancer; a node needs a listener per public port
/// and per app.
pub(super) const LISTENERS_MAX: usize = 64;
/// For HTTP and HTTPS together. A message must hold them all.
pub(super) const HTTP_ADDRESSES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct BoundListener {
    pub(super) protocol: ProtocolKind,
    pub(super) addresses: Vec<BoundAddress>,
    /// Set at the start of the daemon: no command closes it.
    pub(super) is_fixed: bool,
    /// Of its sockets: a listener that was closed and opened again has the same id, but other sockets.
    pub(super) generation: u64,
}

pub(super) type ListenerMap = BTreeMap<ListenerId, Arc<BoundListener>>;

/// All open listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Number of balancer threads, fixed for the life of the daemon: each has a socket of every address.
    pub(super) threads: usize,
    open: watch::Sender<ListenerMap>,
    next_generation: Cell<u64>,
}

impl Listeners {
    /// Binds the public listeners for HTTP and, if there are addresses for it, HTTPS. An activated socket takes the place of the
    /// addresses for HTTP.
    ///
    /// # Errors
    /// [`StartError`] for an address that is in use or refused.
    pub(super) fn bind(
        http: &[SocketAddr],
        https: &[SocketAddr],
        activated: Option<&TcpListener>,
    ) -> anyhow::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let http = if activated.is_some() { &[] } else { http };
        check_addresses(http, https, activated.is_some())?;
        let addresses = match activated {
            Some(socket) => vec![share_socket(socket, threads).context("cannot share the activated socket")?],
            None => bind_all(http, ProtocolKind::Http, threads)?,
        };
        let public = |protocol, addresses, generation| {
            Arc::new(BoundListener { protocol, addresses, is_fixed: true, generation })
        };
        let mut open: ListenerMap =
            [(ListenerId::public_http(), public(ProtocolKind::Http, addresses, 0))].into();
        if !https.is_empty() {
            let addresses = bind_all(https, ProtocolKind::Https, threads)?;
            open.insert(ListenerId::public_https(), public(ProtocolKind::Https, addresses, 1));
        }
        Ok(Self::continued(threads, open, 2))
    }

    /// The listeners that are open already.
    pub(super) fn continued(threads: usize, open: ListenerMap, next_generation: u64) -> Self {
        Self { threads, open: watch::Sender::new(open), next_generation: Cell::new(next_generation) }
    }

    /// Of the next listener that is opened. None is given twice, also not by another program: a balancer may still have the sockets
    /// of a listener that was closed.
    pub(super) fn next_generation(&self) -> u64 {
        self.next_generation.get()
    }

    /// Closes the supervisor's sockets, at the end of the daemon: from now on only the balancer accepts on them.
    pub(super) fn release(&self) {
        self.open.send_replace(ListenerMap::new());
    }

    /// The open listeners, now and after each change.
    pub(super) fn subscribe(&self) -> watch::Receiver<ListenerMap> {
        self.open.subscribe()
    }

    /// The open listeners, for the controller.
    pub(super) fn list(&self) -> Vec<ListedListener> {
        let open = self.open.borrow();
        let listed = open.iter().map(|(id, listener)| ListedListener {
            id: id.clone(),
            addresses: listener.addresses.iter().map(|bound| bound.address).collect(),
            protocol: listener.protocol,
            is_fixed: listener.is_fixed,
        });
        listed.collect()
    }

    /// Opens a listener; returns its address with the port filled in. Does not name the owner of an address in use: the search
    /// takes long, and the caller's thread also watches the children.
    pub(super) fn open(&self, asked: &OpenListener) -> Result<SocketAddr, OpenRefusal> {
        if let Some(address) = check_open(&self.open.borrow(), asked)? {
            return Ok(address);
        }
        let bound = bind_address(asked.address, self.threads).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => OpenRefusal::AddressInUse { owner: None },
            ErrorKind::PermissionDenied => OpenRefusal::NotPermitted,
            ErrorKind::AddrNotAvailable => OpenRefusal::NotLocal,
            _ => OpenRefusal::System { error: io_error_text(&error) },
        })?;
        let address = bound.address;
        let generation = self.next_generation.replace(self.next_generation.get() + 1);
        let protocol = asked.protocol;
        let listener = BoundListener { protocol, addresses: vec![bound], is_fixed: false, generation };
        self.open.send_modify(|open| {
            open.insert(asked.id.clone(), Arc::new(listener));
        });
        tracing::info!(listener = %asked.id, %address, protocol = %asked.protocol, "opened a listener");
        Ok(address)
    }

    /// Closes a listener, if it is open.
    pub(super) fn close(&self, id: &ListenerId) -> Result<(), CommandRefusal> {
        if self.open.borrow().get(id).is_some_and(|listener| listener.is_fixed) {
            return Err(CommandRefusal::CloseFixed { id: id.clone() });
        }
        let is_closed = self.open.send_if_modified(|open| open.remove(id).is_some());
        if is_closed {
            tracing::info!(listener = %id, "closed a listener");
        }
        Ok(())
    }
}

/// Decides without the system; the address if this listener is open already.
fn check_open(open: &ListenerMap, asked: &OpenListener) -> Result<Option<SocketAddr>, OpenRefusal> {
    ListenerId::parse(asked.id.as_str())
        .map_err(|error| OpenRefusal::InvalidId { problem: error.to_string() })?;
    if let Some(listener) = open.get(&asked.id) {
        return same_listener(listener, asked).map(Some);
    }
    for (other, listener) in open {
        if let Some(bound) = listener.addresses.iter().find(|bound| overlaps(bound.address, asked.address)) {
            return Err(OpenRefusal::UsedByListener { other: other.clone(), address: bound.address });
        }
    }
    if open.len() >= LISTENERS_MAX {
        return Err(OpenRefusal::TooManyListeners { limit: LISTENERS_MAX });
    }
    Ok(None)
}

fn same_listener(listener: &BoundListener, asked: &OpenListener) -> Result<SocketAddr, OpenRefusal> {
    let is_same = |bound: &&BoundAddress| [bound.asked, bound.address].contains(&asked.address);
    match listener.addresses.iter().find(is_same) {
        Some(bound) if listener.protocol == asked.protocol => Ok(bound.address),
        _ => Err(OpenRefusal::AlreadyOpen {
            address: listener.addresses.first().map_or(asked.address, |bound| bound.address),
            protocol: listener.protocol,
        }),
    }
}

/// Whether the kernel would refuse to bind both. Port 0 is any free port.
fn overlaps(bound: SocketAddr, asked: SocketAddr) -> bool {
    let is_any = bound.ip().is_unspecified() || asked.ip().is_unspecified();
    bound.port() == asked.port() && bound.is_ipv4() == asked.is_ipv4() && (is_any || bound.ip() == asked.ip())
}

fn check_addresses(http: &[SocketAddr], https: &[SocketAddr], is_activated: bool) -> anyhow::Result<()> {
    if http.is_empty() && !is_activated {
        bail!("no HTTP address to listen on; pass --http ADDRESS");
    }
    let all: Vec<&SocketAddr> = http.iter().chain(https).collect();
    if all.len() > HTTP_ADDRESSES_MAX {
        bail!("{} addresses to serve HTTP and HTTPS on; the limit is {HTTP_ADDRESSES_MAX}", all.len());
    }
    match all.iter().enumerate().find(|(index, asked)| all[..*index].contains(asked)) {
        Some((_, twice)) => bail!("{twice} is given twice"),
        None => Ok(()),
    }
}

fn bind_all(
    addresses: &[SocketAddr],
    protocol: ProtocolKind,
    threads: usize,
) -> anyhow::Result<Vec<BoundAddress>> {
    let mut bound = Vec::with_capacity(addresses.len());
    for &asked in addresses {
        let listening = bind_address(asked, threads).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                StartError::AddressInUse { address: asked, owner: port_owner::find(asked) }
            }
            _ => StartError::AddressRefused { address: asked, source: error },
        })?;
        tracing::info!(address = %listening.address, %protocol, threads, "serving clients");
        bound.push(listening);
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn loopback() -> SocketAddr {
        address("127.0.0.1:0")
    }

    fn listeners() -> Listeners {
        Listeners::bind(&[loopback()], &[], None).unwrap()
    }

    fn asked(id: &str, address: SocketAddr) -> OpenListener {
        OpenListener { id: id.into(), address, protocol: ProtocolKind::Http }
    }

    #[test]
    fn opened_listener_has_a_socket_per_thread_and_opening_it_again_changes_nothing() {
        let listeners = listeners();
        let opened = listeners.open(&asked("web", loopback())).unwrap();
        let changes = listeners.subscribe();
        let listed = ListedListener {
            id: "web".into(),
            addresses: vec![opened],
            protocol: ProtocolKind::Http,
            is_fixed: false,
        };
        assert_eq!(listeners.list()[1], listed);
        assert!(listeners.list()[0].is_fixed, "the public one");
        assert_eq!(listeners.open(&asked("web", loopback())), Ok(opened));
        assert_eq!(listeners.open(&asked("web", opened)), Ok(opened));
        assert!(!changes.has_changed().unwrap());
        assert_eq!(changes.borrow()[&ListenerId::new("web")].addresses[0].sockets.len(), listeners.threads);
    }

    #[test]
    fn command_is_refused_with_the_reason() {
        let listeners = listeners();
        let public = listeners.subscribe().borrow()[&ListenerId::public_http()].addresses[0].address;
        let web = listeners.open(&asked("web", loopback())).unwrap();
        let free = address("127.0.0.1:1");
        let protocol = ProtocolKind::Http;
        let everywhere = SocketAddr::new([0, 0, 0, 0].into(), web.port());
        let nul = OpenRefusal::InvalidId {
            problem: "invalid name `a\0`: use lower-case letters, digits and hyphens (not first or last)"
                .into(),
        };
        for (command, refusal) in [
            (asked("a\0", free), nul),
            (asked("web", free), OpenRefusal::AlreadyOpen { address: web, protocol }),
            (asked("http", free), OpenRefusal::AlreadyOpen { address: public, protocol }),
            (asked("b", web), OpenRefusal::UsedByListener { other: "web".into(), address: web }),
            (asked("b", everywhere), OpenRefusal::UsedByListener { other: "web".into(), address: web }),
            (asked("b", address("192.0.2.1:0")), OpenRefusal::NotLocal),
        ] {
            assert_eq!(listeners.open(&command), Err(refusal), "{command:?}");
        }
        assert_eq!(listeners.subscribe().borrow().len(), 2);
    }

    #[test]
    fn open_rejects_listeners_above_limit() {
        let listeners = listeners();
        for number in 1..LISTENERS_MAX {
            listeners.open(&asked(&format!("l{number}"), loopback())).unwrap();
        }
        let refused = listeners.open(&asked("one-more", loopback()));
        assert_eq!(refused, Err(OpenRefusal::TooManyListeners { limit: LISTENERS_MAX }));
        listeners.close(&"l1".into()).unwrap();
        listeners.open(&asked("one-more", loopback())).unwrap();
    }

    #[test]
    fn address_of_a_closed_listener_is_free_and_fixed_listeners_stay_open() {
        let listeners = listeners();
        let web = listeners.open(&asked("web", loopback())).unwrap();
        assert!(listeners.open(&asked("b", web)).is_err());
        listeners.close(&"web".into()).unwrap();
        listeners.close(&"web".into()).unwrap();
        assert_eq!(listeners.open(&asked("b", web)), Ok(web));
        let id = ListenerId::public_http();
        assert_eq!(listeners.close(&id), Err(CommandRefusal::CloseFixed { id }));
    }

    #[test]
    fn port_of_another_program_is_refused_at_start_with_its_owner_and_later_without_a_search() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let refused = listeners().open(&asked("web", taken));
        assert_eq!(refused, Err(OpenRefusal::AddressInUse { owner: None }));
        let error = Listeners::bind(&[taken], &[], None).unwrap_err().downcast::<StartError>().unwrap();
        assert_eq!(error.code(), "CTL-0503");
        let text = error.to_string();
        assert!(text.contains(&taken.to_string()), "{text}");
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    }

    #[test]
    fn more_addresses_than_the_limit_are_refused_at_start() {
        let error = Listeners::bind(&[loopback(); HTTP_ADDRESSES_MAX], &[loopback()], None).unwrap_err();
        assert!(error.to_string().contains("the limit is 64"), "{error}");
    }

    #[test]
    fn same_address_twice_is_refused_at_start() {
        for (http, https) in [(&[loopback(), loopback()][..], &[][..]), (&[loopback()], &[loopback()])] {
            let error = Listeners::bind(http, https, None).unwrap_err();
            assert!(error.to_string().contains("twice"), "{error}");
        }
    }
}
