//! The specs of containers and networks. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::Ipv4Net;

use super::address;
use super::allocator::NetworkAllocation;
use super::node::{BalancerUrl, NodeFacts};
use super::view::NodeView;
use crate::engine::{
    BindMount, ContainerSpec, LABEL_ADDRESS, LABEL_APP, LABEL_ATTEMPT, LABEL_CHECK, LABEL_INSTANCE,
    LABEL_REPLICA, LABEL_REPLICA_CREATED_AT, LABEL_REVISION, LABEL_SERVICE, LABEL_STORE, LABEL_VOLUME,
    LABEL_VOLUME_PATH, Mount, NetworkSpec, OneOffSpec, VolumeSpec,
};
use crate::model::{
    AppName, ContainerOptions, ContainerProcess, EnvField, EnvValue, ExposureMode, GATEWAY_CHECK_COMMAND,
    GATEWAY_CONNECT_MAX, ImageVolume, Millis, Replica, Revision, StoreId, TMP, TMPFS_SIZE, Tmpfs, Volume,
    sha256_hex,
};

/// The container of an attempt.
pub(super) fn container(
    view: &NodeView,
    replica: &Replica,
    revision: &Revision,
    attempt: u32,
    env: BTreeMap<String, String>,
    allocation: NetworkAllocation,
) -> ContainerSpec {
    let spec = &revision.spec;
    let release = revision.release();
    let process = ContainerProcess::of(spec, &revision.image.config);
    let NetworkAllocation { address, published } = allocation;
    let mut labels = spec.labels.clone();
    // Ours come last: a user's label never replaces one that identifies the container.
    labels.extend(own_labels(&view.facts, replica, attempt, address));
    ContainerSpec {
        name: replica.name.container_name(attempt),
        image: revision.image.pinned.clone(),
        entrypoint: process.entrypoint,
        command: process.command,
        env,
        labels,
        exposed: spec.ports.iter().map(|p| p.port).collect(),
        published,
        network: view.network_name(&replica.app),
        address: IpAddr::V4(address),
        mounts: mounts(&view.facts, replica, revision),
        binds: spec.volumes.iter().filter_map(bind).collect(),
        options: options(revision, replica),
        cpu_reserved: spec.resources.cpu,
        cpu_limit: spec.limits.cpu,
        memory: spec.resources.memory,
        security: spec.security.clone(),
        logging: spec.logging.clone(),
        stop_signal: release.stop_signal().to_owned(),
        stop_grace: spec.stop.grace,
        disables_health_check: revision.image.config.health_check.is_some(),
    }
}

/// What a replica's container mounts. A VOLUME of the image that the manifest does not mount becomes a named volume as
/// well: Docker's anonymous one would end with the container.
pub(super) fn mounts(facts: &NodeFacts, replica: &Replica, revision: &Revision) -> Vec<Mount> {
    let named = revision.spec.volumes.iter().filter_map(|volume| mount(facts, replica, volume));
    let of_image = revision.release().image_volumes().into_iter();
    named.chain(of_image.map(|volume| image_mount(facts, replica, volume))).collect()
}

fn bind(volume: &Volume) -> Option<BindMount> {
    let source = volume.host_path()?.to_owned();
    Some(BindMount { source, path: volume.path.clone(), read_only: volume.read_only })
}

/// With what follows from the replica and from other fields. None of it is in the template: it does not ask for a new
/// container.
fn options(revision: &Revision, replica: &Replica) -> ContainerOptions {
    let mut options = revision.spec.options.clone();
    options.hostname.get_or_insert_with(|| replica.name.to_string());
    let is_mounted = revision.spec.volumes.iter().any(|volume| volume.path == TMP)
        || revision.image.config.volumes.contains(TMP)
        || options.tmpfs.iter().any(|tmpfs| tmpfs.path == TMP);
    if revision.spec.security.read_only_root && !is_mounted {
        options.tmpfs.push(Tmpfs { path: TMP.to_owned(), size: TMPFS_SIZE });
    }
    options
}

fn image_mount(facts: &NodeFacts, replica: &Replica, volume: ImageVolume<'_>) -> Mount {
    let labels = [
        (LABEL_STORE, facts.store.to_string()),
        (LABEL_APP, replica.app.to_string()),
        (LABEL_SERVICE, replica.service.to_string()),
        (LABEL_VOLUME_PATH, volume.path.to_owned()),
    ];
    let name = volume.docker_name(&replica.app, &replica.service, replica.slot, &facts.store);
    let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Mount { volume: VolumeSpec { name, labels }, path: volume.path.to_owned(), read_only: false }
}

/// A volume in a replica's container. Its labels say what it belongs to, and nothing that can change.
fn mount(facts: &NodeFacts, replica: &Replica, volume: &Volume) -> Option<Mount> {
    let labels = [
        (LABEL_STORE, facts.store.to_string()),
        (LABEL_APP, replica.app.to_string()),
        (LABEL_VOLUME, volume.name()?.to_owned()),
    ];
    let name = volume.docker_name(&replica.app, replica.slot, &facts.store)?;
    let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let volume_spec = VolumeSpec { name, labels };
    Some(Mount { volume: volume_spec, path: volume.path.clone(), read_only: volume.read_only })
}

fn own_labels(
    facts: &NodeFacts,
    replica: &Replica,
    attempt: u32,
    address: Ipv4Addr,
) -> BTreeMap<String, String> {
    let pairs = [
        (LABEL_STORE, facts.store.to_string()),
        (LABEL_INSTANCE, facts.instance.clone()),
        (LABEL_SERVICE, replica.service.to_string()),
        (LABEL_REVISION, replica.revision.to_string()),
        (LABEL_REPLICA, replica.name.to_string()),
        (LABEL_ATTEMPT, attempt.to_string()),
        (LABEL_ADDRESS, address.to_string()),
    ];
    let made = replica.created_at.map(|at| (LABEL_REPLICA_CREATED_AT, at.to_string()));
    pairs.into_iter().chain(made).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Where the balancer's address is asked for and not known.
const BALANCER_UNKNOWN: &str = "it is not known where containers reach the balancer";

/// A host and port without the port, and an IPv6 address without brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// A container's environment, with every field resolved; an error is a message for the user.
pub(super) fn environment(
    facts: &NodeFacts,
    replica: &Replica,
    revision: &Revision,
    subnet: Ipv4Net,
) -> Result<BTreeMap<String, String>, String> {
    let resolve = |field: EnvField| match field {
        EnvField::ReplicaName => Ok(replica.name.to_string()),
        EnvField::ReplicaSlot => Ok(replica.slot.to_string()),
        EnvField::ServiceName => Ok(replica.service.to_string()),
        EnvField::NodeName => Ok(facts.node_name.clone()),
        EnvField::BalancerUrl => match &facts.balancer {
            BalancerUrl::Gateway(port) => Ok(format!("http://{}:{port}", address::gateway(subnet))),
            BalancerUrl::Host(address) => Ok(format!("http://{address}")),
            BalancerUrl::Unknown => Err(BALANCER_UNKNOWN.to_owned()),
        },
        EnvField::BalancerHost => match (&facts.balancer, facts.exposure) {
            (BalancerUrl::Host(address), _) => Ok(host_of(address).to_owned()),
            // every address of the node is reachable from its bridges, wherever HTTP is served
            (_, ExposureMode::Bridge) => Ok(address::gateway(subnet).to_string()),
            (_, ExposureMode::Published) => Err(BALANCER_UNKNOWN.to_owned()),
        },
    };
    let value = |value: &EnvValue| match value {
        EnvValue::Text(text) => Ok(text.clone()),
        EnvValue::Field { field } => resolve(*field),
    };
    let pair = |(key, v): (&String, &EnvValue)| match value(v) {
        Ok(text) => Ok((key.clone(), text)),
        Err(message) => Err(format!("env {key}: {message}")),
    };
    revision.spec.env.iter().map(pair).collect()
}

/// Characters of an app's name in that of its bridge.
const BRIDGE_APP_MAX: usize = 5;
/// Digits in the name of a bridge: with six, one chance in 16 million that two apps of the same first letters collide.
const BRIDGE_DIGITS: usize = 6;

/// The name of an app's bridge, which stays the same when the network is created again: `cx-shop-5708e0`, at most 15
/// characters, as the kernel allows. The digits keep apps with long names and several daemons on one machine apart.
fn bridge_name(app: &AppName, store: &StoreId) -> String {
    let shown: String = app.as_str().chars().take(BRIDGE_APP_MAX).collect();
    let hash = sha256_hex(format!("{store} {app}").as_bytes());
    let digits: String = hash.chars().take(BRIDGE_DIGITS).collect();
    format!("cx-{}-{digits}", shown.trim_end_matches('-'))
}

/// The name of the container that connects to the balancer from an app's network.
pub(super) fn check_name(app: &AppName, store: &StoreId) -> String {
    format!("coxswain-check-{app}-{}", store.short())
}

/// The empty image of such containers.
pub(super) fn check_image(store: &StoreId) -> String {
    format!("coxswain/empty:{}", store.short())
}

/// How long such a container may take to start, next to the time that it may take to connect.
const CHECK_START_MAX: Millis = Millis::secs(10);

/// The container that connects to the balancer from an app's network.
pub(super) fn gateway_check(
    view: &NodeView,
    app: &AppName,
    target: SocketAddr,
    program: PathBuf,
) -> OneOffSpec {
    let store = &view.facts.store;
    let labels =
        [(LABEL_STORE, store.to_string()), (LABEL_APP, app.to_string()), (LABEL_CHECK, "gateway".to_owned())];
    OneOffSpec {
        name: check_name(app, store),
        image: check_image(store),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        network: view.network_name(app),
        program,
        arguments: vec![GATEWAY_CHECK_COMMAND.to_owned(), target.to_string()],
        limit: GATEWAY_CONNECT_MAX.plus(CHECK_START_MAX),
    }
}

/// The network of an app.
pub(super) fn network(view: &NodeView, app: &AppName, subnet: Ipv4Net) -> NetworkSpec {
    let labels = [
        (LABEL_STORE, view.facts.store.to_string()),
        (LABEL_INSTANCE, view.facts.instance.clone()),
        (LABEL_APP, app.to_string()),
    ];
    NetworkSpec {
        name: view.network_name(app),
        bridge: Some(bridge_name(app, &view.facts.store)),
        subnet: subnet.to_string(),
        ip_range: address::docker_range(subnet),
        gateway: IpAddr::V4(address::gateway(subnet)),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_leaves_out_port_and_brackets() {
        for (address, host) in [("10.0.0.5:80", "10.0.0.5"), ("elk:80", "elk"), ("[fd00::7]:80", "fd00::7")] {
            assert_eq!(host_of(address), host);
        }
    }

    #[test]
    fn bridge_name_fits_an_interface_and_is_unique_per_app_and_store() {
        let name = |app: &str, store: &str| bridge_name(&AppName::new(app), &StoreId::new(store));
        assert!(name("shop", "s1").starts_with("cx-shop-"), "{}", name("shop", "s1"));
        for app in ["a", "default", "a-very-long-name-of-an-app", "shop-a-b"] {
            assert!(name(app, "s1").len() <= 15, "{}", name(app, "s1"));
        }
        assert_ne!(name("shop", "s1"), name("shop", "s2"));
        assert_ne!(name("shopping-cart", "s1"), name("shopping-list", "s1"));
    }
}
