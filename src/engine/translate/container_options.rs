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
        devices: (!options.devices.is_empty())
            .then(|| options.devices.iter().map(|path| device(path)).collect()),
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

fn device(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MemorySize, Ulimit, UlimitValue};
    use std::collections::BTreeMap;

    fn options() -> ContainerOptions {
        let limit =
            Ulimit { soft: UlimitValue::Number(1024), hard: serde_json::from_str("\"unlimited\"").unwrap() };
        ContainerOptions {
            init: true,
            tmpfs: vec![Tmpfs { path: "/cache".into(), size: MemorySize(1 << 20) }],
            shm_size: Some(MemorySize(128 << 20)),
            ulimits: BTreeMap::from([("nofile".into(), limit)]),
            sysctls: BTreeMap::from([("net.core.somaxconn".into(), "1024".into())]),
            pids_limit: 100,
            extra_hosts: serde_json::from_str(r#"{"db": "10.0.0.9", "node": "host-gateway"}"#).unwrap(),
            dns: serde_json::from_str(
                r#"{"servers": ["10.0.0.2"], "search": ["lan"], "options": ["ndots:2"]}"#,
            )
            .unwrap(),
            devices: vec!["/dev/fuse".into()],
            ..ContainerOptions::default()
        }
    }

    #[test]
    fn host_config_translates_every_option() {
        let json = serde_json::to_value(host_config(&options())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "Init": true,
                "Tmpfs": {"/cache": "size=1048576,mode=1777"},
                "ShmSize": 134_217_728,
                "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": -1}],
                "Sysctls": {"net.core.somaxconn": "1024"},
                "PidsLimit": 100,
                "ExtraHosts": ["db:10.0.0.9", "node:host-gateway"],
                "Dns": ["10.0.0.2"],
                "DnsSearch": ["lan"],
                "DnsOptions": ["ndots:2"],
                "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
            })
        );
        let bare = serde_json::to_value(host_config(&ContainerOptions::default())).unwrap();
        assert_eq!(bare, serde_json::json!({"PidsLimit": 4096}));
    }
}
