//! A firewall on the node that stops packets from containers to the balancer: noticed, and noticed again when it is mended.

use std::process::Command;

use crate::daemon::{Daemon, docker, free_port, wait_for};

/// A rule of the node, removed when this is dropped.
struct Rule(Vec<String>);

impl Rule {
    fn insert(rule: &str) -> Self {
        let rule = Self(rule.split_whitespace().map(str::to_owned).collect());
        assert!(rule.change("-I"), "these tests run as root, with iptables");
        rule
    }

    /// Whether iptables carried it out.
    fn change(&self, how: &str) -> bool {
        let changed = Command::new("iptables").args(["-w", how, "INPUT"]).args(&self.0).status();
        changed.expect("iptables is installed").success()
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        self.change("-D");
    }
}

/// Containers with this label of the daemon's store, running or not.
fn checks(daemon: &Daemon) -> String {
    let ours = format!("label=coxswain.store={}", daemon.store());
    docker(&["ps", "--all", "--quiet", "--filter", &ours, "--filter", "label=coxswain.check"])
}

/// The image that checks are made from.
fn empty_image(daemon: &Daemon) -> String {
    docker(&["images", "--quiet", &format!("coxswain/empty:{}", &daemon.store()[..8])])
}

fn condition(daemon: &Daemon) -> Option<String> {
    let (status, _) = daemon.expect(0, &["status"]);
    status.lines().find(|line| line.contains("BalancerUnreachable")).map(str::to_owned)
}

fn manifest(image: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello, app: wall}}\nspec:\n  image: {image}\n  \
         port: 8080\n  health: /healthz\n  rollout: {{healthyFor: 300ms}}\n"
    )
}

fn blocked_and_mended(verdict: &str, said: &str) {
    let entry = free_port();
    let every: &'static str = Box::leak(format!("0.0.0.0:{}", entry.port()).into_boxed_str());
    // The bridge of an app named `wall` begins with this; the port is this test's own.
    let rule = format!("-i cx-wall-+ -p tcp --dport {} -j {verdict}", entry.port());
    let rule = Rule::insert(&rule);
    let daemon = Daemon::start_with(Box::leak(Box::new(["--http", every])));
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&daemon.image("v1")))]);
    wait_for("the firewall is noticed", || condition(&daemon).is_some());
    let shown = condition(&daemon).unwrap_or_default();
    let allow = format!("to any port {} proto tcp`", entry.port());
    for part in ["app wall (", said, "ufw allow from 10.209.0.0/16", &allow, "iptables -I INPUT -i cx-+"] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    let (replicas, _) = daemon.expect(0, &["get", "replicas"]);
    assert_eq!(replicas.lines().count(), 2, "a check is no replica: {replicas}");

    drop(rule);
    wait_for("it is noticed that the way is open", || condition(&daemon).is_none());
    let (events, _) = daemon.expect(0, &["events"]);
    for reason in ["BalancerUnreachable", "BalancerReachable"] {
        assert_eq!(events.matches(&format!(" {reason} ")).count(), 1, "{events}");
    }
    wait_for("no check is left", || checks(&daemon).is_empty());
    daemon.expect(0, &["delete", "hello", "--yes"]);
    daemon.lets_networks_go();
    assert_eq!(checks(&daemon), "");
    assert_eq!(empty_image(&daemon), "");
}

#[test]
fn check_that_is_cut_short_leaves_no_container() {
    let entry = free_port();
    let every: &'static str = Box::leak(format!("0.0.0.0:{}", entry.port()).into_boxed_str());
    let _rule = Rule::insert(&format!("-i cx-wall-+ -p tcp --dport {} -j DROP", entry.port()));
    let mut daemon = Daemon::start_with(Box::leak(Box::new(["--http", every])));
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&daemon.image("v1")))]);
    wait_for("a check", || !checks(&daemon).is_empty());
    daemon.stop();
    assert_eq!(checks(&daemon), "", "the controller removed it as it ended");
    assert_eq!(empty_image(&daemon), "", "and its image");
    daemon.serve();
    wait_for("a check", || !checks(&daemon).is_empty());
    let left = checks(&daemon);
    daemon.kill("controller");
    wait_for("the next controller has removed it", || checks(&daemon) != left);
    wait_for("the condition", || condition(&daemon).is_some());
    daemon.expect(0, &["delete", "hello", "--yes"]);
    daemon.lets_networks_go();
    wait_for("no check is left", || checks(&daemon).is_empty());
}

#[test]
fn firewall_that_drops_packets_to_the_balancer_is_noticed_until_it_is_mended() {
    blocked_and_mended("DROP", "no answer");
}

#[test]
fn firewall_that_rejects_packets_to_the_balancer_is_noticed_until_it_is_mended() {
    blocked_and_mended("REJECT", "rejected");
}
