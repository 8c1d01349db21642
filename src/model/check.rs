//! Rules over a whole spec. The client checks them to report the line, the server because no client can be trusted. Pure.

use super::image_reference::check_image;
use super::port_check::unknown_port;
use super::{EnvValue, HealthCheck, LIMITS, NumberOrPercent, Problem, Protocol, ServiceSpec};

/// Signals that can ask a process to stop, without `SIG`.
pub const SIGNALS: [&str; 11] =
    ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "STOP", "CONT", "WINCH", "ABRT"];

/// Problems of a spec that depend on more than the form of one value. Paths are those of the long form.
pub fn check_service(spec: &ServiceSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_numbers(spec, &mut problems);
    problems.extend(super::port_check::problems(spec));
    problems.extend(super::route_check::problems(spec));
    check_health(spec, &mut problems);
    check_rollout(spec, &mut problems);
    check_container(spec, &mut problems);
    problems.extend(super::volume::check(&spec.volumes));
    problems.extend(super::container_check::problems(spec));
    problems
}

fn check_numbers(spec: &ServiceSpec, problems: &mut Vec<Problem>) {
    if let Some(n) = spec.replicas.filter(|n| *n > LIMITS.replicas) {
        let message = format!("{n} replicas; at most {} are allowed", LIMITS.replicas);
        problems.push(Problem::new("spec.replicas", message));
    }
    // A spec that cannot be written as JSON is refused by the store.
    let bytes = serde_json::to_vec(spec).map_or(0, |json| json.len());
    if bytes > LIMITS.bytes {
        let message = format!("the spec has {bytes} bytes as JSON; at most {} are allowed", LIMITS.bytes);
        problems.push(Problem::new("spec", message));
    }
    for (path, count, limit) in [
        ("spec.ports", spec.ports.len(), LIMITS.ports),
        ("spec.route", spec.routes.len(), LIMITS.routes),
        ("spec.env", spec.env.len(), LIMITS.env),
        ("spec.volumes", spec.volumes.len(), LIMITS.volumes),
    ] {
        if count > limit {
            problems.push(Problem::new(path, format!("{count} entries; at most {limit} are allowed")));
        }
    }
}

fn check_health(spec: &ServiceSpec, problems: &mut Vec<Problem>) {
    let health = &spec.health;
    if health.check.needs_port() && spec.port(health.port.as_deref()).is_none() {
        problems.push(match &health.port {
            Some(name) => unknown_port(spec, "spec.health.port".to_owned(), name),
            None => Problem::new("spec.health", "the health check needs a port").suggest("port: 8080"),
        });
    }
    let port = spec.port(health.port.as_deref());
    if let (HealthCheck::Http(_), Some(port)) = (&health.check, port)
        && port.protocol == Protocol::H2c
    {
        let message = format!(
            "port `{}` speaks HTTP/2, and `http` probes by HTTP/1.1; `grpc` calls grpc.health.v1.Health/Check, `tcp` connects",
            port.name
        );
        problems.push(Problem::new("spec.health.http", message).suggest("grpc: \"\""));
    }
    problems.extend(super::health_check::problems(health));
}

fn check_rollout(spec: &ServiceSpec, problems: &mut Vec<Problem>) {
    let zero = |n: NumberOrPercent| matches!(n, NumberOrPercent::Number(0) | NumberOrPercent::Percent(0));
    let rollout = &spec.rollout;
    if zero(rollout.max_surge) && zero(rollout.max_unavailable) {
        let message = "maxSurge and maxUnavailable are both 0, so no replica can be replaced";
        problems.push(Problem::new("spec.rollout.maxSurge", message).suggest("maxSurge: 1"));
    }
    if let NumberOrPercent::Percent(p) = rollout.max_unavailable
        && p > 100
    {
        problems.push(Problem::new("spec.rollout.maxUnavailable", format!("{p}% is more than 100%")));
    }
    if rollout.deadline.0 == 0 {
        problems.push(Problem::new("spec.rollout.deadline", "must be greater than 0"));
    }
    if rollout.deadline <= rollout.healthy_for {
        let message = format!(
            "the deadline ({}) must be longer than healthyFor ({}), or every rollout fails",
            rollout.deadline, rollout.healthy_for
        );
        problems.push(Problem::new("spec.rollout.deadline", message));
    }
    if rollout.keep_revisions == 0 {
        problems.push(Problem::new(
            "spec.rollout.keepRevisions",
            "must be at least 1, so that a rollback is possible",
        ));
    }
}

fn check_container(spec: &ServiceSpec, problems: &mut Vec<Problem>) {
    if let Err(error) = check_image(&spec.image) {
        let message = format!("invalid image reference `{}`: {error}", spec.image);
        problems.push(Problem::new("spec.image", message));
    }
    if let Some(signal) = &spec.stop.signal
        && !SIGNALS.contains(&signal.strip_prefix("SIG").unwrap_or(signal))
    {
        let message = format!("unsupported stop signal `{signal}`; expected one of {}", SIGNALS.join(", "));
        problems.push(Problem::new("spec.stop.signal", message).suggest("SIGTERM"));
    }
    for (name, value) in &spec.env {
        let bad_name = name.is_empty() || name.contains(['=', '\0']);
        if bad_name {
            problems.push(Problem::new(
                format!("spec.env.{name}"),
                "the name must not be empty or contain `=` or a NUL byte",
            ));
        }
        if let EnvValue::Text(text) = value
            && text.contains('\0')
        {
            problems.push(Problem::new(format!("spec.env.{name}"), "the value contains a NUL byte"));
        }
    }
    for name in spec.labels.keys() {
        if name.is_empty() || name.starts_with("coxswain.") {
            let message = "the name must not be empty or start with `coxswain.`";
            problems.push(Problem::new(format!("spec.labels.{name}"), message));
        }
    }
    if let (Some(reserved), Some(limit)) = (spec.resources.cpu, spec.limits.cpu)
        && limit < reserved
    {
        let message = format!("the limit ({limit}) must not be lower than the reserved cpu ({reserved})");
        problems.push(Problem::new("spec.limits.cpu", message));
    }
    if let Some(memory) = spec.resources.memory.filter(|m| m.0 < 6 << 20) {
        let message = format!("{memory} is less than 6Mi, the least that Docker allows");
        problems.push(Problem::new("spec.resources.memory", message));
    }
    if spec.logging.max_files == 0 {
        problems.push(Problem::new("spec.logging.maxFiles", "must be at least 1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, HealthCheck, Millis, Port, Protocol, Route};

    fn web() -> ServiceSpec {
        let mut spec = ServiceSpec::of_image("web:1");
        spec.ports = vec![Port { name: "http".into(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.routes = vec![Route::to(Some("shop.localhost".into()), "/api")];
        spec.health = Health::with(HealthCheck::Http("/healthz".into()));
        spec
    }

    #[test]
    fn check_service_accepts_a_valid_spec() {
        assert_eq!(check_service(&web()), vec![]);
        assert_eq!(check_service(&ServiceSpec::of_image("worker:1")), vec![]);
    }

    #[test]
    fn check_service_names_the_field_of_each_problem() {
        type Break = fn(&mut ServiceSpec);
        let cases: &[(&str, Break)] = &[
            ("spec.replicas", |s| s.replicas = Some(201)),
            ("spec.ports[0].port", |s| s.ports[0].port = 0),
            ("spec.ports[1].name", |s| s.ports.push(Port { port: 9, ..s.ports[0].clone() })),
            ("spec.ports[1].port", |s| s.ports.push(Port { name: "b".into(), ..s.ports[0].clone() })),
            ("spec.ports[0].name", |s| s.ports[0].name = "A".into()),
            ("spec.route[0].path", |s| s.routes[0].path = "api".into()),
            ("spec.route[0].path", |s| s.routes[0].path = "/a/../b".into()),
            ("spec.route[0].path", |s| s.routes[0].path = "/a/".into()),
            ("spec.route[0].path", |s| s.routes[0].path = "/a%2e".into()),
            ("spec.route[0].host", |s| s.routes[0].host = Some("A.b".into())),
            ("spec.route[0].host", |s| s.routes[0].host = Some("a:80".into())),
            ("spec.route[0].port", |s| s.routes[0].port = Some("grpc".into())),
            ("spec.route[0].port", |s| s.ports[0].protocol = Protocol::Tcp),
            ("spec.route[0].timeout", |s| s.routes[0].timeout = Millis(0)),
            ("spec.route[0].idleTimeout", |s| s.routes[0].idle_timeout = Millis(0)),
            ("spec.route[0].uploadTimeout", |s| s.routes[0].upload_timeout = Millis(0)),
            ("spec.route[0].hold", |s| s.routes[0].hold = Millis(300_001)),
            ("spec.route[1].path", |s| s.routes.push(s.routes[0].clone())),
            ("spec.health.port", |s| s.health.port = Some("x".into())),
            ("spec.health.http", |s| s.health.check = HealthCheck::Http("x".into())),
            ("spec.health.grpc", |s| s.health.check = HealthCheck::Grpc("a b".into())),
            ("spec.health.grpc", |s| s.health.check = HealthCheck::Grpc("x".repeat(LIMITS.path + 1))),
            ("spec.health.exec", |s| s.health.check = HealthCheck::Exec(vec![])),
            ("spec.health.exec", |s| s.health.check = HealthCheck::Exec(vec![String::new()])),
            ("spec.health.exec", |s| s.health.check = HealthCheck::Exec(vec!["a\0".into()])),
            ("spec.health.port", |s| {
                s.health =
                    Health { port: Some("http".into()), ..Health::with(HealthCheck::Exec(vec!["a".into()])) };
            }),
            ("spec.health.timeout", |s| s.health.timeout = Millis(0)),
            ("spec.health.healthyAfter", |s| s.health.healthy_after = 0),
            ("spec.rollout.maxSurge", |s| s.rollout.max_surge = NumberOrPercent::Number(0)),
            ("spec.rollout.deadline", |s| s.rollout.deadline = Millis::secs(5)),
            ("spec.rollout.keepRevisions", |s| s.rollout.keep_revisions = 0),
            ("spec.image", |s| s.image = String::new()),
            ("spec.image", |s| s.image = "Web:1".to_owned()),
            ("spec.stop.signal", |s| s.stop.signal = Some("SIGNOPE".into())),
            ("spec", |s| {
                s.env.insert("A".into(), EnvValue::Text("x".repeat(LIMITS.bytes)));
            }),
            ("spec.env.A=B", |s| {
                s.env.insert("A=B".into(), EnvValue::Text(String::new()));
            }),
            ("spec.labels.coxswain.store", |s| {
                s.labels.insert("coxswain.store".into(), "x".into());
            }),
            ("spec.resources.memory", |s| s.resources.memory = "1Mi".parse().ok()),
            ("spec.logging.maxFiles", |s| s.logging.max_files = 0),
        ];
        for (path, spoil) in cases {
            let mut spec = web();
            spoil(&mut spec);
            let paths: Vec<String> = check_service(&spec).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [*path], "{path}");
        }
    }
}
