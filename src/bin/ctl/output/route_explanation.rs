//! The text of `ctl route explain`. Pure.

use coxswain::api::types::{
    ExplainedOutcome, ExplainedRequest, ExplainedRoute, RouteExplanation, RouteResult,
};
use coxswain::model::sanitize;

use super::listing::dash;
use super::style::Style;
use super::table::TextTable;

/// What becomes of the request, then a table of all routes.
pub(crate) fn text(request: &ExplainedRequest, explanation: &RouteExplanation, style: Style) -> String {
    let RouteExplanation { host, path, routes, outcome } = explanation;
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let asked = format!("{} {host}{path}{query}", request.method);
    let mut lines = vec![format!("{} {} {}", sanitize(&asked), style.spell("→"), result(outcome))];
    if let Some(sent) = outcome.forwarded_path.as_ref().filter(|sent| *sent != path) {
        lines.push(format!("  forwarded as  {sent}"));
    }
    for (n, endpoint) in outcome.endpoints.iter().enumerate() {
        let title = if n == 0 { "may choose" } else { "" };
        lines.push(format!(
            "  {title:<12}  {} (revision {}, {})",
            endpoint.name, endpoint.revision, endpoint.address
        ));
    }
    lines.extend(outcome.notes.iter().map(|note| format!("  note          {}", sanitize(note))));
    if !routes.is_empty() {
        let table = TextTable {
            header: vec!["ROUTE", "SERVICE", "RESULT", "WHY"],
            rows: routes.iter().map(row).collect(),
        };
        lines.push(String::new());
        lines.push(table.render(style));
    }
    lines.join("\n")
}

fn result(outcome: &ExplainedOutcome) -> String {
    let target = outcome.service.as_ref().zip(outcome.port.as_ref());
    let target = target.map(|(service, port)| format!("service {service}, port {port}"));
    let own = outcome.status.map(|status| {
        let reason = outcome.reason.as_deref().map(sanitize).unwrap_or_default();
        match &outcome.location {
            Some(location) => format!("{status} {}", sanitize(location)),
            None => format!("{status}: {reason}"),
        }
    });
    own.or(target).unwrap_or_else(|| "-".to_owned())
}

fn row(route: &ExplainedRoute) -> Vec<String> {
    let result = match route.result {
        RouteResult::Taken => "taken",
        RouteResult::LessSpecific => "less specific",
        RouteResult::NotMatched => "not matched",
    };
    let services: Vec<&str> = route.services.iter().map(|service| service.as_str()).collect();
    vec![
        sanitize(&route.route),
        dash(sanitize(&services.join(", "))),
        result.to_owned(),
        dash(sanitize(&route.reason)),
    ]
}
