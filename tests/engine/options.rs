//! Options of containers, as the kernel shows them to the process: names, mounts, limits, groups; paths of the node.

use crate::daemon::{Daemon, docker, wait_for};

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: opts, app: office}}\nspec:\n  image: {image}\n  \
         port: 8080\n  health: /healthz\n  rollout: {{healthyFor: 300ms, deadline: 60s}}\n{more}"
    )
}

/// The process of the service's container as the node sees it.
struct Process(String);

impl Process {
    fn of(daemon: &Daemon) -> Self {
        let [container] = &daemon.containers("opts", true)[..] else { panic!("one container") };
        Self(docker(&["inspect", "--format", "{{.State.Pid}}", container]).trim().to_owned())
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }

    fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A line of `/proc/PID/status` or of a table, by its first word, without it.
    fn line(&self, file: &str, head: &str) -> String {
        let text = self.read(file);
        let line = text.lines().find_map(|line| line.strip_prefix(head));
        line.unwrap_or_else(|| panic!("{head} in {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The options of a mount.
    fn mount(&self, path: &str) -> String {
        let mounts = self.read("mounts");
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(path));
        line.unwrap_or_else(|| panic!("{path} in {mounts}")).to_owned()
    }
}

const OPTIONS: &str = "  hostname: users-host
  workingDir: /proc
  init: true
  tmpfs: [{path: /cache, size: 1Mi}]
  shmSize: 16Mi
  ulimits: {nofile: 4321, core: {soft: 0, hard: unlimited}}
  sysctls: {net.core.somaxconn: 1234}
  pidsLimit: 77
  extraHosts: {legacy: 10.0.0.9}
  dns: {servers: [10.0.0.2], search: [lan.example], options: [\"ndots:3\"]}
  devices: [/dev/fuse]
  security: {user: \"1000:1000\", groups: [\"44\"], readOnlyRoot: true, noNewPrivileges: false, capDrop: [ALL]}
";

#[test]
fn every_option_reaches_the_process() {
    let daemon = Daemon::start();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), OPTIONS));
    daemon.expect(0, &["apply", "-f", &file]);
    let process = Process::of(&daemon);
    let own_name = process.read("root/etc/hostname");
    assert_eq!(own_name.trim(), "users-host");
    assert_eq!(std::fs::read_link(process.path("cwd")).unwrap().to_str(), Some("/proc"));
    assert!(process.read("cmdline").contains("init"), "PID 1 is the init: {}", process.read("cmdline"));
    let cache = process.mount("/cache");
    assert!(cache.starts_with("tmpfs") && cache.contains("size=1024k"), "{cache}");
    assert!(process.mount("/dev/shm").contains("size=16384k"), "{}", process.mount("/dev/shm"));
    let tmp = process.mount("/tmp");
    assert!(tmp.starts_with("tmpfs") && tmp.contains("size=65536k"), "readOnlyRoot brings it: {tmp}");
    assert!(process.mount("/").contains(" ro,"), "{}", process.mount("/"));
    assert_eq!(process.line("limits", "Max open files"), "4321 4321 files");
    assert_eq!(process.line("limits", "Max core file size"), "0 unlimited bytes");
    let [container] = &daemon.containers("opts", true)[..] else { panic!("one container") };
    let asked = "{{.HostConfig.PidsLimit}} {{.HostConfig.Sysctls}}";
    let shown = docker(&["inspect", "--format", asked, container]);
    assert_eq!(shown.trim(), "77 map[net.core.somaxconn:1234]");
    let hosts = process.read("root/etc/hosts");
    assert!(hosts.lines().any(|line| line.split_whitespace().eq(["10.0.0.9", "legacy"])), "{hosts}");
    let resolved = process.read("root/etc/resolv.conf");
    assert!(resolved.contains("lan.example") && resolved.contains("ndots:3"), "{resolved}");
    assert!(std::fs::metadata(process.path("root/dev/fuse")).is_ok());
    assert_eq!(process.line("status", "Uid:"), "1000 1000 1000 1000");
    let groups = process.line("status", "Groups:");
    assert!(groups.split(' ').any(|group| group == "44"), "{groups}");
    assert_eq!(process.line("status", "NoNewPrivs:"), "0");

    let (said, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(said.contains("unchanged"), "{said}");
    // What was printed may be applied again.
    let (printed, _) = daemon.expect(0, &["get", "services", "opts", "-o", "yaml"]);
    let again = daemon.file("again.yaml", &printed);
    let (said, _) = daemon.expect(0, &["apply", "-f", &again]);
    assert!(said.contains("unchanged"), "{said}\n{printed}");
}

#[test]
fn defaults_are_the_replicas_name_and_a_limit_of_processes() {
    let daemon = Daemon::start();
    let added = "  security: {user: \"1000\", capAdd: [NET_BIND_SERVICE]}\n";
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), added));
    let (said, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(said.contains("gives NET_BIND_SERVICE to root alone: a process of user 1000"), "{said}");
    let [container] = &daemon.containers("opts", true)[..] else { panic!("one container") };
    let shown = docker(&[
        "inspect",
        "--format",
        "{{.Name}} {{.Config.Hostname}} {{.HostConfig.PidsLimit}}",
        container,
    ]);
    let [name, host, pids] = shown.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{shown}") };
    // a further attempt has a name of its own: `opts-1-a.2`
    let replica = name.trim_start_matches('/').split('.').next();
    assert_eq!((replica, pids), (Some(host), "4096"));
    assert_eq!(Process::of(&daemon).line("status", "NoNewPrivs:"), "1");
}

#[test]
fn option_that_the_engine_refuses_fails_the_release_with_its_message() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let device = "  devices: [/dev/coxswain-none]\n  rollout: {healthyFor: 300ms, deadline: 20s}\n";
    let text = manifest(&image, device).replace("  rollout: {healthyFor: 300ms, deadline: 60s}\n", "");
    let file = daemon.file("app.yaml", &text);
    let (_, errors) = daemon.expect(5, &["apply", "-f", &file]);
    assert!(errors.contains("/dev/coxswain-none"), "{errors}");
}

#[test]
fn limit_above_the_machines_own_fails_the_release_at_once() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let most: u64 = std::fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse().unwrap();
    let limits = format!("  ulimits: {{nofile: {}}}\n", most + 1);
    // It would be tried for longer than the command waits.
    let text =
        manifest(&image, &limits).replace("health: /healthz", "health: {http: /healthz, startWithin: 10m}");
    let text = text.replace("deadline: 60s", "deadline: 15m");
    let file = daemon.file("app.yaml", &text);
    let (_, errors) = daemon.expect(5, &["apply", "-f", &file, "--timeout", "60s"]);
    assert!(errors.contains("error setting rlimit"), "{errors}");
}

#[test]
fn path_of_the_node_is_mounted_only_where_the_daemon_allows_it() {
    let node = tempfile::tempdir().unwrap();
    let root = node.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("allowed")).unwrap();
    std::fs::create_dir(root.join("secret")).unwrap();
    std::fs::write(root.join("allowed/page"), "from the node").unwrap();
    std::os::unix::fs::symlink(root.join("secret"), root.join("allowed/out")).unwrap();
    let allowed: &'static str = Box::leak(root.join("allowed").display().to_string().into_boxed_str());
    let daemon = Daemon::start_with(Box::leak(Box::new(["--allow-host-path", allowed])));
    let image = daemon.image("v1");
    let mounts = |path: &str| {
        let volumes = format!(
            "  route: opts.localhost\n  volumes: [{{hostPath: {path}, path: /data, readOnly: true}}]\n"
        );
        daemon.file("app.yaml", &manifest(&image, &volumes))
    };
    for (path, said) in [
        (root.join("secret"), "allows only"),
        (root.join("allowed/out"), "allows only"),
        (root.join("allowed/none"), "no such file"),
        ("/var/run/docker.sock".into(), "allows only"),
    ] {
        let path = path.display().to_string();
        let (_, errors) = daemon.expect(2, &["apply", "-f", &mounts(&path)]);
        assert!(errors.contains(said) && errors.contains(&path), "{path}: {errors}");
        assert!(errors.contains("app.yaml:"), "the line: {errors}");
    }
    daemon.expect(2, &["get", "services", "opts"]);

    daemon.expect(0, &["apply", "-f", &mounts(allowed)]);
    wait_for("the file is served", || {
        daemon.get("opts.localhost", "/data/page") == Some((200, "from the node".to_owned()))
    });
    assert!(Process::of(&daemon).mount("/data").contains(" ro,"));
    daemon.expect(0, &["delete", "opts", "--volumes", "--yes"]);
    assert!(root.join("allowed/page").exists(), "a path of the node is never removed");
}
