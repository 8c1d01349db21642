//! A second protocol on the same listener, picker and counters: bytes passed on as they come.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::accept::{AcceptEnd, accept};
use super::compile::compile;
use super::connect::connect;
use super::connection_log::ConnectionLog;
use super::counters::CounterRegistry;
use super::endpoint::UpstreamEndpoint;
use super::limits::BalancerLimits;
use super::listener::{Admission, ClientConnections, ConnectionHandler, ConnectionRefusal};
use super::picker::Picker;
use super::router::RouteRequest;
use super::shared_connections::SharedConnections;
use super::table::CompiledTable;
use crate::clock::{Clock, RealClock};
use crate::model::arbitrary::table_name;
use crate::model::{
    EndpointId, ForwardAction, HostPattern, Listener, ListenerId, Millis, PathMatch, RevisionNumber,
    RouteAction, RouteWaits, RoutingTable, TableEndpoint, TableRoute, TableService, TrustedProxies,
    WeightedBackend,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Passes bytes between a client and an endpoint.
struct TunnelHandler {
    picker: Rc<Picker<()>>,
    clock: Arc<dyn Clock>,
    shared: Arc<SharedConnections>,
}

impl ConnectionHandler for TunnelHandler {
    async fn serve(self: Rc<Self>, mut client: TcpStream, admission: Admission) {
        let request = RouteRequest { host: "", path: "/", attributes: &() };
        let picks = self.picker.begin();
        let Ok(choice) = self.picker.pick(&ListenerId::public_http(), &request, &picks) else { return };
        match connect(choice.address, &self.shared.budget).await {
            // either side may end it
            Ok((mut endpoint, _permit)) => {
                drop(tokio::io::copy_bidirectional(&mut client, &mut endpoint).await)
            }
            Err(_) => choice.claim.endpoint().eject(&*self.clock),
        }
        drop(choice.claim);
        drop(admission);
    }

    fn refusal(&self, _: ConnectionRefusal) -> Vec<u8> {
        Vec::new()
    }
}

/// A table with an endpoint at this address behind everything, and the counters of the endpoint.
fn table(address: SocketAddr) -> (CompiledTable, Arc<UpstreamEndpoint>) {
    let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
    let ports = [("tunnel".to_owned(), address.port())].into();
    let listed = TableEndpoint::managed(id, "r".into(), RevisionNumber(1), address.ip(), ports);
    let route = TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [HostPattern::Any].into(),
        path: PathMatch::Prefix("/".to_owned()),
        conditions: [].into(),
        action: RouteAction::Forward(ForwardAction {
            backends: vec![WeightedBackend { service: "s".into(), port: "tunnel".into(), weight: 1 }],
            timeout: Millis::secs(1),
            strip_prefix: false,
            waits: RouteWaits::default(),
        }),
    };
    let service = TableService { endpoints: vec![listed.clone()], ..TableService::default() };
    let table = RoutingTable {
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes: vec![route],
        services: [("s".into(), service)].into(),
        ..RoutingTable::empty(table_name(1))
    };
    let mut counters = CounterRegistry::new(1);
    let compiled = compile(&table, &mut counters).unwrap();
    let service = counters.service(&"s".into());
    (compiled, counters.endpoint(&service, &listed))
}

async fn wait_for_in_flight(endpoint: &UpstreamEndpoint, wanted: u64) {
    let reached = async {
        while endpoint.in_flight() != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the claims are as wanted");
}

async fn echo(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

#[tokio::test]
async fn tunnel_handler_holds_its_claim_until_the_last_byte() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (table, endpoint) = table(upstream.local_addr().unwrap());
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let picker = Rc::new(Picker::new(0, Arc::clone(&clock), Arc::default()));
    picker.install(Arc::new(table));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let shared = Arc::new(SharedConnections::new(&BalancerLimits::default(), 1, TrustedProxies::default()));
    let log = ConnectionLog::new(Arc::clone(&clock));
    let connections = Rc::new(ClientConnections::new(Arc::clone(&shared), log));
    let handler = Rc::new(TunnelHandler { picker, clock, shared });
    let tasks = LocalSet::new();
    tasks.spawn_local(echo(upstream));
    let end = AcceptEnd { succeeded: CancellationToken::new(), draining: CancellationToken::new() };
    tasks.spawn_local(accept(socket, Rc::clone(&connections), handler, end));
    let client = async {
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut back = [0; 3];
        for _ in 0..2 {
            client.write_all(b"one").await.unwrap();
            client.read_exact(&mut back).await.unwrap();
            assert_eq!((&back, endpoint.in_flight()), (b"one", 1));
        }
        drop(client);
        wait_for_in_flight(&endpoint, 0).await;
        connections.drained().await;
        assert_eq!(endpoint.stats(true).requests, 1);
    };
    tasks.run_until(async { tokio::time::timeout(PATIENCE, client).await.expect("it ends in time") }).await;
}
