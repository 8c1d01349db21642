//! Containers. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState as DockerState, ContainerStateStatusEnum,
    EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountPoint,
    NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};

use super::container_options;
use super::labels::unordered;
use super::volume::{bind, mount};
use crate::engine::{ContainerSpec, ContainerState, ObservedContainer};
use crate::model::{ContainerId, Cpu, MemorySize, Millis};

/// The request that creates a container.
pub(in crate::engine) fn container(spec: &ContainerSpec) -> ContainerCreateBody {
    let env = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: Some(env),
        labels: Some(unordered(&spec.labels)),
        exposed_ports: Some(spec.exposed.iter().copied().map(tcp).collect()),
        user: spec.security.user.clone(),
        hostname: spec.options.hostname.clone(),
        working_dir: spec.options.working_dir.clone(),
        stop_signal: Some(spec.stop_signal.clone()),
        stop_timeout: Some(whole_seconds(spec.stop_grace)),
        healthcheck: spec.disables_health_check.then(no_health_check),
        host_config: Some(host_config(spec)),
        networking_config: Some(networking(spec)),
        ..ContainerCreateBody::default()
    }
}

/// Docker's way to say that the image's HEALTHCHECK is not run.
fn no_health_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }
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
        mounts: mounts(spec),
        cpu_shares: spec.cpu_reserved.map(shares),
        nano_cpus: spec.cpu_limit.map(|cpu| i64::from(cpu.0) * 1_000_000),
        memory,
        // The sum of memory and swap: equal to the limit means no swap.
        memory_swap: memory,
        security_opt: spec.security.no_new_privileges.then(|| vec!["no-new-privileges".to_owned()]),
        group_add: (!spec.security.groups.is_empty()).then(|| spec.security.groups.clone()),
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
        ..container_options::host_config(&spec.options)
    }
}

fn mounts(spec: &ContainerSpec) -> Option<Vec<Mount>> {
    let mounts: Vec<Mount> = spec.mounts.iter().map(mount).chain(spec.binds.iter().map(bind)).collect();
    (!mounts.is_empty()).then_some(mounts)
}

fn port_bindings(published: &BTreeMap<u16, u16>) -> PortMap {
    let binding = |port: &u16| PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        host_port: Some(port.to_string()),
    };
    published.iter().map(|(own, port)| (tcp(*own), Some(vec![binding(port)]))).collect()
}

/// Docker's name of a TCP port.
fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

/// The configured ports; a container that does not run has no others.
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

fn networking(spec: &ContainerSpec) -> NetworkingConfig {
    let endpoint = endpoint(spec.address);
    NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])) }
}

/// A container's place on a network: at this address.
pub(in crate::engine) fn endpoint(address: IpAddr) -> EndpointSettings {
    let text = address.to_string();
    let ipam = match address {
        IpAddr::V4(_) => EndpointIpamConfig { ipv4_address: Some(text), ..Default::default() },
        IpAddr::V6(_) => EndpointIpamConfig { ipv6_address: Some(text), ..Default::default() },
    };
    EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() }
}

fn bytes(memory: MemorySize) -> i64 {
    i64::try_from(memory.0).unwrap_or(i64::MAX)
}

/// 1024 shares are one core; the kernel accepts no fewer than 2.
fn shares(cpu: Cpu) -> i64 {
    (i64::from(cpu.0) * 1024 / 1000).max(2)
}

/// Rounded up: a grace period must not become shorter.
fn whole_seconds(time: Millis) -> i64 {
    i64::try_from(time.whole_seconds_up().0 / 1000).unwrap_or(i64::MAX)
}

/// `None` if the response lacks what every container has.
pub(in crate::engine) fn observed(container: ContainerInspectResponse) -> Option<ObservedContainer> {
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
        volumes: container.mounts.into_iter().flatten().filter_map(volume).collect(),
        error: state.error.clone().unwrap_or_default(),
        state: container_state(&state),
    })
}

/// The name of a mounted volume; `None` for another kind of mount.
fn volume(mount: MountPoint) -> Option<String> {
    mount.name.filter(|_| mount.typ.as_deref() == Some("volume"))
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

/// Docker writes the year 1 for an event that never happened.
fn time(text: &str) -> Option<jiff::Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    (time > jiff::Timestamp::UNIX_EPOCH).then_some(time)
}

/// The address in use, else (while the container does not run) the one that it requests at its next start.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{BindMount, Mount, VolumeSpec};
    use crate::model::{ContainerOptions, Logging, Security};

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
            binds: vec![BindMount { source: "/srv/x".into(), path: "/x".into(), read_only: true }],
            options: ContainerOptions {
                hostname: Some("users-1".into()),
                working_dir: Some("/app".into()),
                ..ContainerOptions::default()
            },
            cpu_reserved: Some(Cpu(250)),
            cpu_limit: Some(Cpu(1500)),
            memory: Some(MemorySize(64 << 20)),
            security: Security {
                user: Some("1000:1000".into()),
                read_only_root: true,
                cap_add: vec!["NET_ADMIN".into()],
                cap_drop: vec!["ALL".into()],
                groups: vec!["44".into()],
                no_new_privileges: true,
            },
            logging: Logging::default(),
            stop_signal: "SIGINT".into(),
            stop_grace: Millis(1500),
            disables_health_check: true,
        }
    }

    #[test]
    fn container_translates_every_field_of_a_spec() {
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
                "Hostname": "users-1",
                "WorkingDir": "/app",
                "StopSignal": "SIGINT",
                "StopTimeout": 2,
                "Healthcheck": {"Test": ["NONE"]},
                "HostConfig": {
                    "NetworkMode": "net",
                    "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20003"}]},
                    "RestartPolicy": {"Name": "no"},
                    "CpuShares": 256,
                    "NanoCpus": 1_500_000_000_i64,
                    "Memory": 67_108_864,
                    "MemorySwap": 67_108_864,
                    "SecurityOpt": ["no-new-privileges"],
                    "GroupAdd": ["44"],
                    "PidsLimit": 4096,
                    "ReadonlyRootfs": true,
                    "CapAdd": ["NET_ADMIN"],
                    "CapDrop": ["ALL"],
                    "Mounts": [{
                        "Type": "volume",
                        "Source": "v",
                        "Target": "/data",
                        "ReadOnly": true,
                        "VolumeOptions": {"Labels": {"a": "b"}},
                    }, {"Type": "bind", "Source": "/srv/x", "Target": "/x", "ReadOnly": true}],
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
    fn observed_reads_states_and_times() {
        let never = "0001-01-01T00:00:00Z";
        let created = inspected(serde_json::json!({
            "Status": "created", "ExitCode": 0, "StartedAt": never, "FinishedAt": never,
        }));
        assert_eq!(created.state, ContainerState::Created);
        assert_eq!((created.started_at, created.finished_at), (None, None));
        assert_eq!(created.name, "users-1-a");
        assert_eq!(created.addresses["net"].to_string(), "10.209.3.7", "requested while it does not run");

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
}
