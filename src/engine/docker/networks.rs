//! Networks by name or label, and a new one whose name is not taken.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{Network, NetworkConnectRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use super::{DockerEngine, QUICK, SLOW};
use crate::engine::classify::CallObject;
use crate::engine::{EngineError, NetworkSpec, translate};

impl DockerEngine {
    pub(super) async fn networks_by(
        &self,
        filter: Option<(&str, &str)>,
    ) -> Result<Vec<Network>, EngineError> {
        let options = match filter {
            Some((key, value)) => {
                ListNetworksOptionsBuilder::new().filters(&HashMap::from([(key, vec![value])])).build()
            }
            None => ListNetworksOptionsBuilder::new().build(),
        };
        self.ask("networks", CallObject::Engine, QUICK, |docker| async move {
            docker.list_networks(Some(options)).await
        })
        .await
    }

    /// Older Engines create a second network of the same name without an error, so the name is looked up first.
    pub(super) async fn create_new_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        let named = self.networks_by(Some(("name", &spec.name))).await?;
        if named.iter().any(|network| network.name.as_deref() == Some(spec.name.as_str())) {
            let message = format!("network with name {} already exists", spec.name);
            return Err(EngineError::Conflict { message });
        }
        let body = translate::network(spec);
        let created =
            self.ask("create network", CallObject::Network(&spec.name), SLOW, |docker| async move {
                docker.create_network(body).await
            });
        created.await.map(|_| ())
    }

    pub(super) async fn connect_to_network(
        &self,
        container: &str,
        network: &str,
        address: IpAddr,
    ) -> Result<(), EngineError> {
        let body = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(translate::endpoint(address)),
        };
        self.ask("connect", CallObject::Network(network), SLOW, |docker| async move {
            docker.connect_network(network, body).await
        })
        .await
    }
}
