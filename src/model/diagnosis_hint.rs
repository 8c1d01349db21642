//! What else a diagnosis shows of a mistake in the manifest, as one line. Pure.

use std::collections::BTreeSet;

use super::{Diagnosis, ListeningSocket, NotReadyCause, ProbeAnswer};

/// For a process that ends: the two mistakes behind it.
const SERVICE_RUNS_FOREVER: &str = "a Service runs until it is stopped: run a task that ends with `docker run --rm`, from cron \
     or a systemd timer, and keep a server in the foreground (one that forks into the background ends its container)";

impl Diagnosis {
    /// What is likely wrong with the manifest or the image, and what to do instead.
    pub fn hint(&self) -> Option<String> {
        match &self.cause {
            NotReadyCause::Completed { .. } => Some(SERVICE_RUNS_FOREVER.to_owned()),
            _ => self.wrong_port(),
        }
    }

    /// If a probe was refused and the listening ports are known: what listens instead.
    fn wrong_port(&self) -> Option<String> {
        let NotReadyCause::Unhealthy { probe, .. } = &self.cause else { return None };
        let ProbeAnswer::Refused { port } = probe.answer else { return None };
        let listening = self.evidence.listening.as_ref()?;
        if self.evidence.listens_on(port) {
            return None; // it has started to listen
        }
        let (loopback, reachable): (Vec<&ListeningSocket>, Vec<_>) =
            listening.iter().partition(|l| l.address.is_loopback());
        let same_port: Vec<&ListeningSocket> = loopback.iter().filter(|l| l.port == port).copied().collect();
        Some(if !same_port.is_empty() {
            format!(
                "the container listens on {} only, which is not reachable from outside the container",
                one_per_port(&same_port)
            )
        } else if !reachable.is_empty() {
            format!("nothing listens on {port}; the container listens on {}", one_per_port(&reachable))
        } else if !loopback.is_empty() {
            format!("nothing listens on {port}; the container listens on {} only", one_per_port(&loopback))
        } else {
            format!("nothing listens on {port}, or on any other port of the container")
        })
    }
}

/// The sockets as a list; of several address families that listen on one port, one.
fn one_per_port(sockets: &[&ListeningSocket]) -> String {
    let texts: BTreeSet<(u16, String)> = sockets.iter().map(|s| (s.port, s.to_string())).collect();
    texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::model::{Evidence, FailedProbe};

    fn refused(listening: &[&str]) -> Diagnosis {
        let socket = |text: &&str| text.parse::<SocketAddr>().unwrap();
        let listener = |socket: SocketAddr| ListeningSocket { address: socket.ip(), port: socket.port() };
        let listening = Some(listening.iter().map(socket).map(listener).collect());
        let message = "GET / → connection refused".to_owned();
        let probe = FailedProbe { message, answer: ProbeAnswer::Refused { port: 8080 } };
        let evidence = Evidence { listening, ..Evidence::default() };
        Diagnosis { cause: NotReadyCause::unhealthy(probe), evidence }
    }

    #[test]
    fn hint_names_the_ports_listened_on() {
        for (listening, expected) in [
            (
                &["0.0.0.0:3000", "[::]:3000"][..],
                Some("nothing listens on 8080; the container listens on 3000"),
            ),
            (&["[::]:3000", "127.0.0.1:9"], Some("nothing listens on 8080; the container listens on 3000")),
            (
                &["127.0.0.1:8080"],
                Some(
                    "the container listens on 127.0.0.1:8080 only, which is not reachable from outside the container",
                ),
            ),
            (
                &["127.0.0.1:3000"],
                Some("nothing listens on 8080; the container listens on 127.0.0.1:3000 only"),
            ),
            (&[], Some("nothing listens on 8080, or on any other port of the container")),
            (&["0.0.0.0:8080"], None),
        ] {
            let diagnosis = refused(listening);
            assert_eq!(diagnosis.hint().as_deref(), expected, "{listening:?}");
            assert_eq!(diagnosis.evidence.listens_on(8080), expected.is_none(), "{listening:?}");
        }
    }

    #[test]
    fn hint_for_a_process_that_completes_says_what_to_use_instead() {
        let cause = NotReadyCause::Completed { was_healthy: true };
        let hint = Diagnosis { cause, evidence: Evidence::default() }.hint().unwrap_or_default();
        assert!(hint.contains("runs until it is stopped") && hint.contains("docker run --rm"), "{hint}");
        let cause = NotReadyCause::Exited { code: 1, was_healthy: false };
        assert_eq!(Diagnosis { cause, evidence: Evidence::default() }.hint(), None);
    }
}
