//! Rules for the ports of a service, and where the balancer listens for them. Pure.

use super::{LIMITS, Problem, Protocol, Route, ServiceName, ServiceSpec};

/// Problems of the ports.
pub(super) fn problems(spec: &ServiceSpec) -> Vec<Problem> {
    let mut found = Vec::new();
    check_ports(spec, &mut found);
    check_listens(spec, &mut found);
    found
}

fn check_ports(spec: &ServiceSpec, problems: &mut Vec<Problem>) {
    for (i, port) in spec.ports.iter().enumerate() {
        if port.port == 0 {
            problems.push(Problem::new(
                format!("spec.ports[{i}].port"),
                "expected a port from 1 to 65535, found 0",
            ));
        }
        if let Err(error) = ServiceName::parse(&port.name) {
            problems.push(Problem::new(format!("spec.ports[{i}].name"), error.to_string()));
        }
        let earlier = &spec.ports[..i];
        if earlier.iter().any(|p| p.name == port.name) {
            let message = format!("duplicate port name `{}`", port.name);
            problems.push(Problem::new(format!("spec.ports[{i}].name"), message));
        }
        if earlier.iter().any(|p| p.port == port.port) {
            let message = format!("duplicate port {}", port.port);
            problems.push(Problem::new(format!("spec.ports[{i}].port"), message));
        }
    }
}

/// The problem of a name that none of the service's ports has.
pub(super) fn unknown_port(spec: &ServiceSpec, path: String, name: &str) -> Problem {
    let names: Vec<&str> = spec.ports.iter().map(|p| p.name.as_str()).collect();
    let problem = Problem::new(path, format!("unknown port `{name}`"));
    if names.is_empty() { problem } else { problem.suggest(names.join(", ")) }
}

/// Problems of the addresses that the service listens on.
fn check_listens(spec: &ServiceSpec, found: &mut Vec<Problem>) {
    let claims = spec.routes.len() + spec.listens().count();
    if claims > LIMITS.claims {
        let message = format!("{claims} routes and listened ports; at most {} are allowed", LIMITS.claims);
        found.push(Problem::new("spec.ports", message));
    }
    for (i, port) in spec.ports.iter().enumerate() {
        let Some(listen) = &port.listen else { continue };
        let at = |field: &str| format!("spec.ports[{i}].{field}");
        if port.protocol != Protocol::Tcp {
            let message = "`listen` is for ports with `protocol: tcp`; clients reach an HTTP port by the service's `route`";
            found.push(Problem::new(at("listen"), message));
        }
        if listen.port == 0 {
            found.push(Problem::new(at("listen.port"), "expected a port from 1 to 65535, found 0"));
        }
        if listen.address.is_multicast() {
            let message = format!("{} is a multicast address; TCP has none", listen.address);
            found.push(Problem::new(at("listen.address"), message));
        }
        if listen.idle_timeout.0 == 0 {
            found.push(Problem::new(at("listen.idleTimeout"), "must be greater than 0"));
        }
        if listen.hold > Route::HOLD_MAX {
            let message = format!("must be at most {}: no client waits longer", Route::HOLD_MAX);
            found.push(Problem::new(at("listen.hold"), message));
        }
        let earlier = spec.ports[..i].iter().filter_map(|port| port.listen.as_ref());
        if earlier.into_iter().any(|other| other.port == listen.port) {
            let message = format!("TCP port {} of the node is used by two ports", listen.port);
            found.push(Problem::new(at("listen"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, Port, TcpListen};

    fn listen_problems(spec: &ServiceSpec) -> Vec<Problem> {
        let mut found = Vec::new();
        check_listens(spec, &mut found);
        found
    }

    #[test]
    fn problems_name_the_field() {
        type Spoil = fn(&mut ServiceSpec);
        let listen = |spec: &mut ServiceSpec, change: fn(&mut TcpListen)| {
            change(spec.ports[0].listen.as_mut().unwrap());
        };
        let mut sound = ServiceSpec::of_image("db:1");
        let port = Port {
            name: "db".into(),
            port: 5432,
            protocol: Protocol::Tcp,
            listen: Some(TcpListen::on(5432)),
        };
        sound.ports = vec![port];
        assert_eq!(listen_problems(&sound), []);
        let cases: &[(&str, Spoil)] = &[
            ("spec.ports[0].listen", |s| s.ports[0].protocol = Protocol::Http),
            ("spec.ports[1].listen", |s| s.ports.push(s.ports[0].clone())),
        ];
        for (path, spoil) in cases {
            let mut spec = sound.clone();
            spoil(&mut spec);
            assert_eq!(listen_problems(&spec).iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [*path]);
        }
        type Change = fn(&mut TcpListen);
        let fields: [(&str, Change); 4] = [
            ("spec.ports[0].listen.port", |l| l.port = 0),
            ("spec.ports[0].listen.address", |l| l.address = [224, 0, 0, 1].into()),
            ("spec.ports[0].listen.idleTimeout", |l| l.idle_timeout = Millis(0)),
            ("spec.ports[0].listen.hold", |l| l.hold = Millis(300_001)),
        ];
        for (path, change) in fields {
            let mut spec = sound.clone();
            listen(&mut spec, change);
            assert_eq!(listen_problems(&spec).iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [path]);
        }
    }
}
