//! A port as Compose writes it, `[[ip:]published:]container[/protocol]`, each a number or a range, and what to write instead.
//! Pure.

use crate::model::LIMITS;

/// Ports of a container, from a text that is not a number alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PortText<'a> {
    /// At least one, and no more than a service may have.
    ports: Vec<u16>,
    /// `udp`, where it is not `tcp`.
    pub(super) other_protocol: Option<&'a str>,
    /// Whether a port of the node is named.
    pub(super) published: Option<&'a str>,
}

impl<'a> PortText<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, Some(protocol)),
            None => (text, None),
        };
        let (published, container) = match ports.rsplit_once(':') {
            Some((published, container)) => (Some(published), container),
            None => (None, ports),
        };
        let (first, last) = container.split_once('-').unwrap_or((container, container));
        let first = number(first)?;
        let last = number(last)?;
        let count = usize::from(last.checked_sub(first)?) + 1;
        let other_protocol = protocol.filter(|protocol| !protocol.eq_ignore_ascii_case("tcp"));
        let published = published.map(|published| published.rsplit(':').next().unwrap_or(published));
        (count <= LIMITS.ports).then(|| Self { ports: (first..=last).collect(), other_protocol, published })
    }

    /// The port where there is only one.
    pub(super) fn only(&self) -> Option<u16> {
        if let [port] = self.ports[..] { Some(port) } else { None }
    }

    /// What to write instead as the item of this index in `ports`; a range needs the key too.
    pub(super) fn suggestion(&self, index: usize, short_name: &str) -> String {
        let item = |port: &u16| {
            let is_first = index == 0 && *port == self.ports[0];
            let name = if is_first { short_name.to_owned() } else { format!("port-{port}") };
            format!("{{name: {name}, port: {port}}}")
        };
        let items: Vec<String> = self.ports.iter().map(item).collect();
        match &items[..] {
            [item] => item.clone(),
            items => format!("ports: [{}]", items.join(", ")),
        }
    }
}

fn number(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_what_compose_writes() {
        for (text, suggestion) in [
            ("80", Some("{name: http, port: 80}")),
            ("8080:80", Some("{name: http, port: 80}")),
            ("127.0.0.1:8080:80/tcp", Some("{name: http, port: 80}")),
            ("80/udp", Some("{name: http, port: 80}")),
            ("3000-3001", Some("ports: [{name: http, port: 3000}, {name: port-3001, port: 3001}]")),
            ("4000-4001:3000-3001", Some("ports: [{name: http, port: 3000}, {name: port-3001, port: 3001}]")),
            ("3001-3000", None),
            ("1-65535", None),
            ("0", None),
            ("70000", None),
            ("http", None),
            ("${PORT}:80x", None),
        ] {
            let port = PortText::parse(text);
            assert_eq!(port.map(|port| port.suggestion(0, "http")).as_deref(), suggestion, "{text}");
        }
        assert_eq!(PortText::parse("80/udp").unwrap().other_protocol, Some("udp"));
        assert_eq!(PortText::parse("1.2.3.4:8080:80").unwrap().published, Some("8080"));
    }
}
