//! Which TCP listeners to close and to open, so that those are open that services declare. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::supervisor_command::{ListedListener, OpenListener};
use crate::model::{Listener, ListenerId, ListenerProtocol, ListenerScope, ProtocolKind, ServiceName};

/// A TCP listener that a service declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredListener {
    pub(super) address: SocketAddr,
    pub(super) service: ServiceName,
}

pub(super) type DeclaredListeners = BTreeMap<ListenerId, DeclaredListener>;

/// What to do, closing first: a service may have moved to another address of the same port.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct ListenerPlan {
    pub(super) close: Vec<ListenerId>,
    pub(super) open: Vec<OpenListener>,
}

/// The TCP listeners among these.
pub(super) fn declared(listeners: &BTreeMap<ListenerId, Listener>) -> DeclaredListeners {
    let tcp = |(id, listener): (&ListenerId, &Listener)| match (&listener.scope, &listener.protocol) {
        (ListenerScope::Public, ListenerProtocol::Tcp { address, port, service, .. }) => {
            let address = SocketAddr::new(*address, *port);
            Some((id.clone(), DeclaredListener { address, service: service.clone() }))
        }
        _ => None,
    };
    listeners.iter().filter_map(tcp).collect()
}

/// From what is open to what is declared. Listeners of other protocols are not touched, nor those of the command line.
pub(super) fn plan(declared: &DeclaredListeners, open: &[ListedListener]) -> ListenerPlan {
    let ours = || open.iter().filter(|listed| listed.protocol == ProtocolKind::Tcp && !listed.is_fixed);
    let is_declared = |listed: &&ListedListener| {
        declared.get(&listed.id).is_some_and(|declared| listed.addresses == [declared.address])
    };
    let kept: Vec<&ListenerId> = ours().filter(is_declared).map(|listed| &listed.id).collect();
    let close = ours().map(|listed| &listed.id).filter(|id| !kept.contains(id)).cloned().collect();
    let missing = declared.iter().filter(|(id, _)| !kept.contains(id));
    let open = missing.map(|(id, listener)| OpenListener {
        id: id.clone(),
        address: listener.address,
        protocol: ProtocolKind::Tcp,
    });
    ListenerPlan { close, open: open.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(listeners: &[(&str, &str)]) -> DeclaredListeners {
        let one = |(id, address): &(&str, &str)| {
            let listener = DeclaredListener { address: address.parse().unwrap(), service: "db".into() };
            ((*id).into(), listener)
        };
        listeners.iter().map(one).collect()
    }

    fn listed(id: &str, address: &str, protocol: ProtocolKind, is_fixed: bool) -> ListedListener {
        ListedListener { id: id.into(), addresses: vec![address.parse().unwrap()], protocol, is_fixed }
    }

    #[test]
    fn plan_opens_what_is_missing_and_closes_what_is_declared_no_more() {
        use ProtocolKind::{Http, Tcp};
        let http = || listed("http", "0.0.0.0:80", Http, true);
        let of_test = || listed("web", "0.0.0.0:81", Http, false);
        let db = || listed("tcp-5432", "0.0.0.0:5432", Tcp, false);
        for (wanted, open, close, opens) in [
            (declare(&[]), vec![http(), of_test()], vec![], vec![]),
            (declare(&[("tcp-5432", "0.0.0.0:5432")]), vec![http(), db()], vec![], vec![]),
            (declare(&[("tcp-5432", "0.0.0.0:5432")]), vec![http()], vec![], vec!["tcp-5432"]),
            (declare(&[]), vec![http(), db()], vec!["tcp-5432"], vec![]),
            (
                declare(&[("tcp-5432-127-0-0-1", "127.0.0.1:5432")]),
                vec![db()],
                vec!["tcp-5432"],
                vec!["tcp-5432-127-0-0-1"],
            ),
            (declare(&[("tcp-5432", "0.0.0.0:5433")]), vec![db()], vec!["tcp-5432"], vec!["tcp-5432"]),
        ] {
            let plan = plan(&wanted, &open);
            let closed: Vec<&str> = plan.close.iter().map(ListenerId::as_str).collect();
            let opened: Vec<&str> = plan.open.iter().map(|listener| listener.id.as_str()).collect();
            assert_eq!((closed, opened), (close, opens), "{wanted:?} {open:?}");
        }
    }
}
