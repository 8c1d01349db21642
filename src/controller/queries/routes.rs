//! Why a request takes the route that it takes.

use super::explained_route::{ExplainedRequest, RouteExplanation};
use super::handle::Queries;
use super::route_explanation::explain_request;

impl Queries {
    /// What the balancer does with a request by the last table that was published.
    pub fn explain_route(&self, request: &ExplainedRequest) -> RouteExplanation {
        let table = self.registry.tables().borrow().clone();
        explain_request(table.as_deref(), request)
    }
}
