//! Listeners that are opened and closed while the balancer runs.

use coxswain::balancer::SocketChange;
use coxswain::model::{Listener, ListenerId, TableRoute};
use tokio::net::TcpStream;

use super::harness::{
    Backend, Balancer, Client, PATIENCE, Setup, get, open_socket, reuse_port, route, status, table,
};

#[tokio::test]
async fn listener_opened_later_has_its_own_routes_and_ends_its_connections_when_it_is_closed() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let web = Backend::echo("web").await;
    let admin = Backend::echo("admin").await;
    let id = ListenerId::new("admin");
    let of_admin = TableRoute { listeners: [id.clone()].into(), ..route(None, "/", "admin") };
    let routes = [route(None, "/", "web"), of_admin];
    let mut both = table(1, &routes, &[("web", &[&web]), ("admin", &[&admin])]);
    both.listeners.insert(id.clone(), Listener::PUBLIC_HTTP);
    balancer.publish(both).await;

    let first = reuse_port("127.0.0.1:0".parse().unwrap());
    let address = first.local_addr().unwrap();
    let second = reuse_port(address);
    for (thread, socket) in [first, second].into_iter().enumerate() {
        balancer.sockets.send(open_socket(id.clone(), thread, socket)).await.unwrap();
    }
    // enough connections for both threads
    for _ in 0..16 {
        assert!(get(address, "a", "/").await.contains("admin GET /"));
        assert!(get(balancer.address, "a", "/").await.contains("web GET /"));
    }

    let mut kept = Client::connect(address).await;
    assert_eq!(kept.send("GET", "/", "").await.unwrap().0, 200);
    balancer.sockets.send(SocketChange::Close(id)).await.unwrap();
    let closed = async {
        while !kept.is_closed() || TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the listener is closed in time");
    assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
}
