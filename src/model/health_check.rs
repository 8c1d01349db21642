//! The rules of a health check. Pure.

use super::command_form::{PastedCheck, flow_list, is_only_docker_word, pasted_check};
use super::{Health, HealthCheck, LIMITS, Problem};

/// Most headers of a probe: an application that wants more than a name or a token is not asked whether it is ready.
const HEADERS_MAX: usize = 16;

/// Longest value of a header: the servers of most languages take 8 KiB for all of them.
const HEADER_MAX: usize = 1024;

/// Headers that the probe sets itself, because the framing of the request depends on them.
const OWN_HEADERS: [&str; 5] = ["connection", "content-length", "transfer-encoding", "upgrade", "te"];

/// The problems of a check, but for its port.
pub(super) fn problems(health: &Health) -> Vec<Problem> {
    let mut problems: Vec<Problem> = check_probe(&health.check).into_iter().collect();
    problems.extend(check_host(health));
    problems.extend(check_headers(health));
    if matches!(health.check, HealthCheck::Exec(_)) && health.port.is_some() {
        problems.push(Problem::new("spec.health.port", "`exec` uses no port; remove `port`"));
    }
    for (field, value) in
        [("interval", health.interval), ("timeout", health.timeout), ("startWithin", health.start_within)]
    {
        if value.0 == 0 {
            problems.push(Problem::new(format!("spec.health.{field}"), "must be greater than 0"));
        }
    }
    for (field, value) in [("healthyAfter", health.healthy_after), ("unhealthyAfter", health.unhealthy_after)]
    {
        if value == 0 {
            problems.push(Problem::new(format!("spec.health.{field}"), "must be at least 1"));
        }
    }
    problems
}

/// The problem of the path, name or command of a probe.
fn check_probe(check: &HealthCheck) -> Option<Problem> {
    match check {
        HealthCheck::Http(path) => {
            let bad = |c: char| c.is_whitespace() || c.is_control() || c == '#';
            let sound = path.starts_with('/') && !path.contains(bad) && path.len() <= LIMITS.path;
            let message =
                || format!("invalid path `{path}`: it must start with `/`, without whitespace and `#`");
            (!sound).then(|| Problem::new("spec.health.http", message()))
        }
        HealthCheck::Grpc(service) => {
            let sound = service.len() <= LIMITS.path && service.chars().all(|c| c.is_ascii_graphic());
            let message =
                || format!("invalid gRPC service `{service}`: expected a name such as `shop.Users`");
            (!sound).then(|| Problem::new("spec.health.grpc", message()))
        }
        HealthCheck::Exec(command) => check_command(command),
        HealthCheck::Tcp(_) | HealthCheck::None(_) => None,
    }
}

fn check_command(command: &[String]) -> Option<Problem> {
    let field = "spec.health.exec";
    if command.iter().any(|word| word.contains('\0')) {
        return Some(Problem::new(field, "the command contains a NUL byte"));
    }
    let pasted = pasted_check(command);
    match pasted {
        Some(PastedCheck::None) => {
            let message = "`NONE` is Docker's word for no check";
            return Some(Problem::new("spec.health", message).suggest("health: {none: true}"));
        }
        Some(PastedCheck::Command { wrong, instead }) => {
            return Some(Problem::new(field, wrong).suggest(format!("exec: {}", flow_list(&instead))));
        }
        None => {}
    }
    let is_empty = command.first().is_none_or(|word| word.trim().is_empty()) || is_only_docker_word(command);
    is_empty.then(|| Problem::new(field, "the command is empty").suggest("exec: [\"/app\", \"check\"]"))
}

fn check_host(health: &Health) -> Option<Problem> {
    let host = health.host.as_ref()?;
    let field = "spec.health.host";
    if !matches!(health.check, HealthCheck::Http(_)) {
        return Some(Problem::new(field, "only `http` sends a Host; remove `host`"));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_sound = !name.is_empty()
        && name.chars().all(is_name)
        && host.len() <= LIMITS.path
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let message = || format!("invalid host `{host}`: expected a name such as `shop.example.com`");
    (!is_sound).then(|| Problem::new(field, message()))
}

fn check_headers(health: &Health) -> Vec<Problem> {
    let field = "spec.health.headers";
    if health.headers.is_empty() {
        return Vec::new();
    }
    if !matches!(health.check, HealthCheck::Http(_)) {
        return vec![Problem::new(field, "only `http` sends headers; remove `headers`")];
    }
    if health.headers.len() > HEADERS_MAX {
        let message = format!("{} headers; at most {HEADERS_MAX} are allowed", health.headers.len());
        return vec![Problem::new(field, message)];
    }
    let problem = |(name, value): (&String, &String)| {
        let lower = name.to_ascii_lowercase();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let message = if lower == "host" {
            "write `host` under `health`".to_owned()
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            format!("the probe sets `{name}` itself")
        } else if name.is_empty() || !name.chars().all(is_token) {
            format!("`{name}` is not the name of a header")
        } else if value.len() > HEADER_MAX || value.chars().any(|c| !c.is_ascii() || c.is_ascii_control()) {
            format!("a value is ASCII without control characters, of at most {HEADER_MAX} bytes")
        } else {
            return None;
        };
        Some(Problem::new(format!("{field}.{name}"), message))
    };
    health.headers.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(change: impl FnOnce(&mut Health)) -> Vec<String> {
        let mut health = Health::with(HealthCheck::Http("/healthz".into()));
        change(&mut health);
        problems(&health)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect()
    }

    #[test]
    fn host_and_headers_belong_to_http_and_are_well_formed() {
        for host in ["shop.example.com", "shop.example.com:8080", "web", "a_b"] {
            assert_eq!(http(|health| health.host = Some(host.into())), [""; 0], "{host}");
        }
        for host in ["", "a b", "http://a", "a/b", "a:", "a:x", "a:0", "é"] {
            let found = http(|health| health.host = Some(host.into()));
            assert!(found[0].starts_with("spec.health.host: invalid host"), "{host}: {found:?}");
        }
        let with = |name: &str, value: &str| {
            http(|health| {
                health.headers.insert(name.into(), value.into());
            })
        };
        assert_eq!(with("X-Forwarded-Proto", "https"), [""; 0]);
        for (name, value, said) in [
            ("Host", "a", "write `host` under `health`"),
            ("Content-Length", "1", "the probe sets `Content-Length` itself"),
            ("X Y", "a", "`X Y` is not the name of a header"),
            ("X-Y", "a\r\nb", "a value is ASCII without control characters"),
            ("X-Y", "é", "a value is ASCII without control characters"),
        ] {
            let found = with(name, value);
            assert!(found.len() == 1 && found[0].contains(said), "{name}: {found:?}");
        }
        let many = http(|health| {
            health.headers = (0..=HEADERS_MAX).map(|n| (format!("x-{n}"), String::new())).collect();
        });
        assert!(many[0].contains("at most 16"), "{many:?}");
        let tcp = Health {
            host: Some("a".into()),
            headers: [("x".to_owned(), "y".to_owned())].into(),
            ..Health::with(HealthCheck::Tcp(true))
        };
        assert_eq!(problems(&tcp).len(), 2);
    }

    #[test]
    fn pasted_commands_are_refused_with_the_right_form() {
        let said = |command: &[&str]| {
            let command = command.iter().map(|word| (*word).to_owned()).collect();
            let found = problems(&Health::with(HealthCheck::Exec(command)));
            found.into_iter().map(|problem| problem.suggestion.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(said(&["CMD", "curl", "x"]), [r#"exec: ["curl", "x"]"#]);
        assert_eq!(said(&["CMD-SHELL", "a || b"]), [r#"exec: ["/bin/sh", "-c", "a || b"]"#]);
        assert_eq!(said(&["NONE"]), ["health: {none: true}"]);
        assert_eq!(said(&["CMD"]), [r#"exec: ["/app", "check"]"#]);
        assert_eq!(said(&["/app", "check"]), [""; 0]);
    }
}
