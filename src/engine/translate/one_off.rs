//! A container that runs once. Pure.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, RestartPolicy, RestartPolicyNameEnum,
};

use super::labels::unordered;
use super::volume::bind;
use crate::engine::{BindMount, OneOffSpec};

/// Where the program is in the container.
const PROGRAM: &str = "/program";
/// User and group of the program: without rights of their own.
const USER: &str = "65534:65534";
/// Memory of the container: the program is mapped from the node's file, and needs a few MiB of its own.
const MEMORY: i64 = 64 << 20;
/// Processes and threads in it.
const PIDS: i64 = 16;

/// The request that creates it.
pub(in crate::engine) fn one_off(spec: &OneOffSpec) -> ContainerCreateBody {
    let source = spec.program.to_string_lossy().into_owned();
    let program = BindMount { source, path: PROGRAM.to_owned(), read_only: true };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(vec![PROGRAM.to_owned()]),
        cmd: Some(spec.arguments.clone()),
        labels: Some(unordered(&spec.labels)),
        user: Some(USER.to_owned()),
        host_config: Some(HostConfig {
            network_mode: Some(spec.network.clone()),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            mounts: Some(vec![bind(&program)]),
            memory: Some(MEMORY),
            memory_swap: Some(MEMORY),
            pids_limit: Some(PIDS),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;
    use std::collections::BTreeMap;

    #[test]
    fn one_off_gets_the_program_and_no_rights() {
        let spec = OneOffSpec {
            name: "check".into(),
            image: "coxswain/empty:s".into(),
            labels: BTreeMap::from([("coxswain.store".into(), "s".into())]),
            network: "net".into(),
            program: "/usr/bin/ctl".into(),
            arguments: vec!["check-gateway".into(), "10.209.0.1:80".into()],
            limit: Millis::secs(10),
        };
        assert_eq!(
            serde_json::to_value(one_off(&spec)).unwrap(),
            serde_json::json!({
                "Image": "coxswain/empty:s",
                "Entrypoint": ["/program"],
                "Cmd": ["check-gateway", "10.209.0.1:80"],
                "Labels": {"coxswain.store": "s"},
                "User": "65534:65534",
                "HostConfig": {
                    "NetworkMode": "net",
                    "RestartPolicy": {"Name": "no"},
                    "Mounts": [
                        {"Type": "bind", "Source": "/usr/bin/ctl", "Target": "/program", "ReadOnly": true},
                    ],
                    "Memory": 67_108_864,
                    "MemorySwap": 67_108_864,
                    "PidsLimit": 16,
                    "ReadonlyRootfs": true,
                    "CapDrop": ["ALL"],
                    "SecurityOpt": ["no-new-privileges"],
                    "LogConfig": {"Type": "none"},
                },
            })
        );
    }
}
