//! Our words to Docker's and back. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState as DockerState, ContainerStateStatusEnum,
    EndpointIpamConfig, EndpointSettings, EventMessage, HostConfig, HostConfigLogConfig, ImageInspect, Ipam,
    IpamConfig, Mount as DockerMount, MountType, MountVolumeOptions, Network, NetworkCreateRequest,
    NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum, Volume,
    VolumeCreateRequest,
};

use super::{
    ContainerSpec, ContainerState, EngineEvent, ImageInfo, Mount, NetworkSpec, ObservedContainer,
    ObservedNetwork, ObservedVolume, VolumeSpec,
};
use crate::model::{ContainerId, Cpu, MemorySize, Millis};

/// What Docker is asked to make of a spec.
pub(super) fn container(spec: &ContainerSpec) -> ContainerCreateBody {
    let env = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: Some(env),
        labels: Some(unordered(&spec.labels)),
        exposed_ports: Some(spec.exposed.iter().copied().map(tcp).collect()),
        user: spec.security.user.clone(),
        stop_signal: Some(spec.stop_signal.clone()),
        stop_timeout: Some(whole_seconds(spec.stop_grace)),
        host_config: Some(host_config(spec)),
        networking_config: Some(networking(spec)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let memory = spec.memory.map(bytes);
    HostConfig {
        network_mode: Some(spec.network.clone()),
        port_bindings: (!spec.published.is_empty()).then(|| port_bindings(&spec.published)),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        mounts: (!spec.mounts.is_empty()).then(|| spec.mounts.iter().map(mount).collect()),
        cpu_shares: spec.cpu_reserved.map(shares),
        nano_cpus: spec.cpu_limit.map(|cpu| i64::from(cpu.0) * 1_000_000),
        memory,
        // The sum of memory and swap: equal means that the limit is not stretched by swap.
        memory_swap: memory,
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(spec.security.read_only_root),
        cap_add: Some(spec.security.cap_add.clone()),
        cap_drop: Some(spec.security.cap_drop.clone()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), spec.logging.max_size.0.to_string()),
                ("max-file".to_owned(), spec.logging.max_files.to_string()),
            ])),
        }),
        ..HostConfig::default()
    }
}

fn port_bindings(published: &BTreeMap<u16, u16>) -> PortMap {
    let binding = |port: &u16| PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        host_port: Some(port.to_string()),
    };
    published.iter().map(|(own, port)| (tcp(*own), Some(vec![binding(port)]))).collect()
}

/// A container's TCP port, as Docker names it.
fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

/// What was asked for; a container that does not run has no other.
fn published(bindings: PortMap) -> BTreeMap<u16, u16> {
    let local = |binding: &PortBinding| {
        let is_local = binding.host_ip.as_deref() == Some("127.0.0.1");
        binding.host_port.as_deref().filter(|_| is_local)?.parse().ok()
    };
    let port = |(name, bindings): (String, Option<Vec<PortBinding>>)| {
        let own = name.strip_suffix("/tcp")?.parse().ok()?;
        Some((own, bindings?.iter().find_map(local)?))
    };
    bindings.into_iter().filter_map(port).collect()
}

/// With its labels: should the volume go between its making and the container's, Docker makes it anew by these.
fn mount(mount: &Mount) -> DockerMount {
    let labels = Some(unordered(&mount.volume.labels));
    DockerMount {
        typ: Some(MountType::VOLUME),
        source: Some(mount.volume.name.clone()),
        target: Some(mount.path.clone()),
        read_only: Some(mount.read_only),
        volume_options: Some(MountVolumeOptions { labels, ..MountVolumeOptions::default() }),
        ..DockerMount::default()
    }
}

/// What Docker is asked to make of a volume.
pub(super) fn volume(spec: &VolumeSpec) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(spec.name.clone()),
        labels: Some(unordered(&spec.labels)),
        ..VolumeCreateRequest::default()
    }
}

/// A volume as Docker describes it.
pub(super) fn observed_volume(volume: Volume) -> ObservedVolume {
    ObservedVolume { name: volume.name, labels: volume.labels.into_iter().collect() }
}

fn networking(spec: &ContainerSpec) -> NetworkingConfig {
    let address = spec.address.to_string();
    let ipam = match spec.address {
        IpAddr::V4(_) => EndpointIpamConfig { ipv4_address: Some(address), ..Default::default() },
        IpAddr::V6(_) => EndpointIpamConfig { ipv6_address: Some(address), ..Default::default() },
    };
    let endpoint = EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])) }
}

fn unordered(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn bytes(memory: MemorySize) -> i64 {
    i64::try_from(memory.0).unwrap_or(i64::MAX)
}

/// 1024 shares are one core; the kernel takes no fewer than 2.
fn shares(cpu: Cpu) -> i64 {
    (i64::from(cpu.0) * 1024 / 1000).max(2)
}

/// Rounded up, for a grace must not become shorter.
fn whole_seconds(time: Millis) -> i64 {
    i64::try_from(time.0.div_ceil(1000)).unwrap_or(i64::MAX)
}

/// What Docker is asked to make of a network.
pub(super) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(spec.subnet.clone()),
        ip_range: Some(spec.ip_range.clone()),
        gateway: Some(spec.gateway.to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(unordered(&spec.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// A container as Docker describes it; `None` if the answer lacks what every container has.
pub(super) fn observed(container: ContainerInspectResponse) -> Option<ObservedContainer> {
    let state = container.state?;
    let labels = container.config.and_then(|c| c.labels).unwrap_or_default();
    let networks = container.network_settings.and_then(|n| n.networks).unwrap_or_default();
    Some(ObservedContainer {
        id: ContainerId::new(container.id?),
        name: container.name?.trim_start_matches('/').to_owned(),
        labels: labels.into_iter().collect(),
        started_at: state.started_at.as_deref().and_then(time),
        finished_at: state.finished_at.as_deref().and_then(time),
        addresses: networks.iter().filter_map(|(name, e)| Some((name.clone(), address(e)?))).collect(),
        published: container
            .host_config
            .and_then(|host| host.port_bindings)
            .map(published)
            .unwrap_or_default(),
        error: state.error.clone().unwrap_or_default(),
        state: container_state(&state),
    })
}

fn container_state(state: &DockerState) -> ContainerState {
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => {
            ContainerState::Running
        }
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => ContainerState::Removing,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited {
            code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
        },
        Some(ContainerStateStatusEnum::DEAD | ContainerStateStatusEnum::EMPTY) | None => ContainerState::Dead,
    }
}

/// Docker writes the year 1 for a time that never was.
fn time(text: &str) -> Option<jiff::Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    (time > jiff::Timestamp::UNIX_EPOCH).then_some(time)
}

/// The address in use, else (while the container does not run) the one that it will ask for.
fn address(endpoint: &EndpointSettings) -> Option<IpAddr> {
    let wanted = endpoint.ipam_config.as_ref();
    let texts = [
        endpoint.ip_address.as_deref(),
        endpoint.global_ipv6_address.as_deref(),
        wanted.and_then(|ipam| ipam.ipv4_address.as_deref()),
        wanted.and_then(|ipam| ipam.ipv6_address.as_deref()),
    ];
    texts.into_iter().flatten().find_map(|text| text.parse().ok())
}

/// A network as Docker describes it.
pub(super) fn observed_network(network: Network) -> ObservedNetwork {
    ObservedNetwork {
        id: network.id.clone().unwrap_or_default(),
        name: network.name.clone().unwrap_or_default(),
        subnets: subnets(&network),
        labels: network.labels.unwrap_or_default().into_iter().collect(),
    }
}

/// Its subnets in CIDR notation.
pub(super) fn subnets(network: &Network) -> Vec<String> {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| config.subnet.clone()).collect()
}

/// An image as Docker describes it; `None` if the answer has no id.
pub(super) fn image(image: ImageInspect) -> Option<ImageInfo> {
    Some(ImageInfo {
        id: image.id?,
        digests: image.repo_digests.unwrap_or_default(),
        tags: image.repo_tags.unwrap_or_default(),
    })
}

/// An event; `None` if it has no time. Only events of containers name one.
pub(super) fn event(event: EventMessage) -> Option<EngineEvent> {
    let nanos = event.time_nano.map(i128::from);
    let nanos = nanos.or_else(|| event.time.map(|s| i128::from(s) * 1_000_000_000))?;
    use bollard::models::EventMessageTypeEnum as Of;
    let actor = event.actor.unwrap_or_default();
    let container = match event.typ {
        Some(Of::CONTAINER) => actor.id,
        // A container that comes to or leaves a network is named among the attributes.
        Some(Of::NETWORK) => actor.attributes.unwrap_or_default().remove("container"),
        _ => None,
    };
    Some(EngineEvent {
        container: container.map(ContainerId::new),
        action: event.action.unwrap_or_default(),
        at: jiff::Timestamp::from_nanosecond(nanos).ok()?,
    })
}

/// Whether a name or reference can stand in the path of a request as it is, and mean itself there.
pub(super) fn fits_a_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    !text.is_empty()
        && text.chars().all(plain)
        && !text.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

/// `users` → `users:latest`: Docker would pull every tag of a repository that is named without one.
pub(super) fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let complete = last.contains(':') || reference.contains('@');
    if complete { reference.to_owned() } else { format!("{reference}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Logging, Security};

    fn spec() -> ContainerSpec {
        ContainerSpec {
            name: "users-1-a".into(),
            image: "sha256:aa".into(),
            entrypoint: None,
            command: Some(vec!["serve".into()]),
            env: BTreeMap::from([("A".into(), "x=y".into())]),
            labels: BTreeMap::from([("coxswain.store".into(), "s".into())]),
            exposed: vec![8080],
            published: BTreeMap::from([(8080, 20_003)]),
            network: "net".into(),
            address: "10.209.3.7".parse().unwrap(),
            mounts: vec![Mount {
                volume: VolumeSpec { name: "v".into(), labels: BTreeMap::from([("a".into(), "b".into())]) },
                path: "/data".into(),
                read_only: true,
            }],
            cpu_reserved: Some(Cpu(250)),
            cpu_limit: Some(Cpu(1500)),
            memory: Some(MemorySize(64 << 20)),
            security: Security {
                user: Some("1000:1000".into()),
                read_only_root: true,
                cap_add: vec!["NET_ADMIN".into()],
                cap_drop: vec!["ALL".into()],
            },
            logging: Logging::default(),
            stop_signal: "SIGINT".into(),
            stop_grace: Millis(1500),
        }
    }

    #[test]
    fn an_event_of_a_network_names_the_container_that_left_it() {
        let attributes = serde_json::json!({"container": "c1", "name": "net", "type": "bridge"});
        let message = |kind: &str, action: &str, actor: serde_json::Value| {
            let json = serde_json::json!({"Type": kind, "Action": action, "Actor": actor, "timeNano": 7});
            event(serde_json::from_value(json).unwrap()).unwrap()
        };
        let left =
            message("network", "disconnect", serde_json::json!({"ID": "n1", "Attributes": attributes}));
        assert_eq!((left.container, left.action.as_str()), (Some("c1".into()), "disconnect"));
        let gone = message("network", "destroy", serde_json::json!({"ID": "n1", "Attributes": {}}));
        assert_eq!(gone.container, None);
        let died = message("container", "die", serde_json::json!({"ID": "c2", "Attributes": attributes}));
        assert_eq!(died.container, Some("c2".into()));
    }

    #[test]
    fn a_spec_becomes_dockers_words() {
        let json = serde_json::to_value(container(&spec())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "Image": "sha256:aa",
                "Cmd": ["serve"],
                "Env": ["A=x=y"],
                "Labels": {"coxswain.store": "s"},
                "ExposedPorts": {"8080/tcp": {}},
                "User": "1000:1000",
                "StopSignal": "SIGINT",
                "StopTimeout": 2,
                "HostConfig": {
                    "NetworkMode": "net",
                    "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20003"}]},
                    "RestartPolicy": {"Name": "no"},
                    "CpuShares": 256,
                    "NanoCpus": 1_500_000_000_i64,
                    "Memory": 67_108_864,
                    "MemorySwap": 67_108_864,
                    "SecurityOpt": ["no-new-privileges"],
                    "ReadonlyRootfs": true,
                    "CapAdd": ["NET_ADMIN"],
                    "CapDrop": ["ALL"],
                    "Mounts": [{
                        "Type": "volume",
                        "Source": "v",
                        "Target": "/data",
                        "ReadOnly": true,
                        "VolumeOptions": {"Labels": {"a": "b"}},
                    }],
                    "LogConfig": {"Type": "json-file", "Config": {"max-size": "10485760", "max-file": "5"}},
                },
                "NetworkingConfig": {
                    "EndpointsConfig": {"net": {"IPAMConfig": {"IPv4Address": "10.209.3.7"}}},
                },
            })
        );
    }

    fn inspected(state: serde_json::Value) -> ObservedContainer {
        let json = serde_json::json!({
            "Id": "c1",
            "Name": "/users-1-a",
            "State": state,
            "Config": {"Labels": {"a": "b"}},
            "NetworkSettings": {"Networks": {"net": {
                "IPAMConfig": {"IPv4Address": "10.209.3.7"}, "IPAddress": "",
            }}},
        });
        observed(serde_json::from_value(json).unwrap()).unwrap()
    }

    #[test]
    fn states_and_times_come_back() {
        let never = "0001-01-01T00:00:00Z";
        let created = inspected(serde_json::json!({
            "Status": "created", "ExitCode": 0, "StartedAt": never, "FinishedAt": never,
        }));
        assert_eq!(created.state, ContainerState::Created);
        assert_eq!((created.started_at, created.finished_at), (None, None));
        assert_eq!(created.name, "users-1-a");
        assert_eq!(created.addresses["net"].to_string(), "10.209.3.7", "asked for while it does not run");

        let exited = inspected(serde_json::json!({
            "Status": "exited", "ExitCode": 137, "OOMKilled": true,
            "StartedAt": "2026-11-22T22:15:00.123456789Z", "FinishedAt": "2026-11-22T22:16:00Z",
        }));
        assert_eq!(exited.state, ContainerState::Exited { code: 137, oom_killed: true });
        let started = exited.started_at.unwrap().to_string();
        assert_eq!(started, "2026-11-22T22:15:00.123456789Z", "an endpoint's identity needs every digit");
        for (status, state) in [
            ("running", ContainerState::Running),
            ("paused", ContainerState::Paused),
            ("restarting", ContainerState::Restarting),
            ("removing", ContainerState::Removing),
            ("dead", ContainerState::Dead),
        ] {
            assert_eq!(inspected(serde_json::json!({"Status": status})).state, state);
        }
    }

    #[test]
    fn references_are_safe_in_a_path() {
        for good in ["users", "reg.io:5000/a/users:1.2", "users@sha256:aa", "sha256:aa", "users-9-a.2"] {
            assert!(fits_a_path(good), "{good}");
        }
        for bad in ["", "../containers", "a//b", "a?b", "a#b", "a b", "a%2e", "/a", "a/", "ü"] {
            assert!(!fits_a_path(bad), "{bad}");
        }
        assert_eq!(with_tag("reg:5000/users"), "reg:5000/users:latest");
        assert_eq!(with_tag("users@sha256:aa"), "users@sha256:aa");
    }
}
