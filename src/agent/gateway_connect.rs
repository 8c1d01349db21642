//! Connects to the balancer from a container.

use crate::engine::{Engine, OneOffSpec};
use crate::model::GatewayAnswer;

/// Connects from a container; `None` if that found out nothing. Its failures say nothing about the Engine: what it does not
/// support here is nothing else's business.
pub(super) async fn connect(engine: &dyn Engine, spec: &OneOffSpec) -> Option<GatewayAnswer> {
    match engine.run_one_off(spec).await {
        Ok(code) => {
            let answer = GatewayAnswer::of_exit_code(code);
            tracing::debug!(
                container = spec.name,
                code,
                ?answer,
                "connected to the balancer from a container"
            );
            answer
        }
        Err(error) => {
            tracing::debug!(container = spec.name, %error, "cannot connect to the balancer from a container");
            None
        }
    }
}
