//! Networks. Pure.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};

use super::labels::unordered;
use crate::engine::{NetworkSpec, ObservedNetwork};

/// Docker's option for the name of a network's bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// The request that creates a network.
pub(in crate::engine) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(spec.subnet.clone()),
        ip_range: Some(spec.ip_range.clone()),
        gateway: Some(spec.gateway.to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        options: spec.bridge.as_ref().map(|name| HashMap::from([(BRIDGE_NAME.to_owned(), name.clone())])),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(unordered(&spec.labels)),
        ..NetworkCreateRequest::default()
    }
}

pub(in crate::engine) fn observed_network(network: Network) -> ObservedNetwork {
    ObservedNetwork {
        id: network.id.clone().unwrap_or_default(),
        name: network.name.clone().unwrap_or_default(),
        subnets: subnets(&network),
        labels: network.labels.unwrap_or_default().into_iter().collect(),
    }
}

/// A network's subnets in CIDR notation.
pub(in crate::engine) fn subnets(network: &Network) -> Vec<String> {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| config.subnet.clone()).collect()
}
