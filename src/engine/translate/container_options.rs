//! Options of a container in the types of Docker. Pure.

use std::collections::HashMap;

use bollard::models::{DeviceMapping, HostConfig, ResourcesUlimits};

use crate::model::{ContainerOptions, Tmpfs};

/// The host configuration with these options and nothing else.
pub(super) fn host_config(options: &ContainerOptions) -> HostConfig {
    let hosts = options.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}"));
    let servers = options.dns.servers.iter().map(ToString::to_string);
    HostConfig {
        init: options.init.then_some(true),
        tmpfs: tmpfs(&options.tmpfs),
        shm_size: options.shm_size.map(|size| i64::try_from(size.0).unwrap_or(i64::MAX)),
        ulimits: ulimits(options),
        sysctls: (!options.sysctls.is_empty()).then(|| options.sysctls.clone().into_iter().collect()),
        pids_limit: Some(i64::from(options.pids_limit)),
        extra_hosts: (!options.extra_hosts.is_empty()).then(|| hosts.collect()),
        dns: (!options.dns.servers.is_empty()).then(|| servers.collect()),
        dns_search: (!options.dns.search.is_empty()).then(|| options.dns.search.clone()),
        dns_options: (!options.dns.options.is_empty()).then(|| options.dns.options.clone()),
        devices: (!options.devices.is_empty()).then(|| options.devices.iter().map(device).collect()),
        ..HostConfig::default()
    }
}

/// Everyone may write, and no one remove what belongs to another user, as in `/tmp`.
fn tmpfs(all: &[Tmpfs]) -> Option<HashMap<String, String>> {
    let option = |tmpfs: &Tmpfs| (tmpfs.path.clone(), format!("size={},mode=1777", tmpfs.size.0));
    (!all.is_empty()).then(|| all.iter().map(option).collect())
}

fn ulimits(options: &ContainerOptions) -> Option<Vec<ResourcesUlimits>> {
    let limits = options.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft.number()),
        hard: Some(limit.hard.number()),
    });
    (!options.ulimits.is_empty()).then(|| limits.collect())
}

fn device(path: &String) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.clone()),
        path_in_container: Some(path.clone()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}
