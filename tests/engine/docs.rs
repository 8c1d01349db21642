//! The pages are true: the quickstart runs as written, and so do the commands that the README shows.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::crashing;
use crate::daemon::{Daemon, docker, free_port, wait_for};
use crate::images::Run;
use crate::tls;

/// The page takes a minute, mostly for the rollout; the machine may be busy. What the page builds is what `cargo test`
/// has built before.
const QUICKSTART_MAX: Duration = Duration::from_secs(600);

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the page is there")
}

/// The fenced blocks of a language, in their order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(tag)) => open = Some((tag == language, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text))
            }
            (Some((_, text)), None) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Says something else in place of what a page says, which must be there.
fn put(text: &str, said: &str, instead: &str) -> String {
    assert!(text.contains(said), "the page does not say `{said}` any more");
    text.replace(said, instead)
}

/// What a script left, whatever became of it, so that its containers and images are swept.
struct Scratch {
    dir: tempfile::TempDir,
    run: Run,
    image: String,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("coxswain-docs-").tempdir().expect("a temporary folder");
        let run = Run::start();
        let image = format!("hello-{}", run.id());
        Self { dir, run, image }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(store) = fs::read_to_string(self.path("store-id")) {
            self.run.sweep_store(store.trim());
            let tags = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
            let ours = tags.lines().filter(|tag| tag.starts_with("coxswain/") && tag.ends_with(&store[..8]));
            ours.for_each(|tag| self.run.sweep_image(tag));
        }
        ["v1", "v2"].iter().for_each(|tag| self.run.sweep_image(&format!("{}:{tag}", self.image)));
    }
}

/// Only the place of the state, the port and the images are this test's own: others may run the same page here.
#[test]
fn quickstart_page_works() {
    let scratch = Scratch::new();
    let manifest = page("manifests/hello.yaml").replace("hello:v1", &format!("{}:v1", scratch.image));
    fs::write(scratch.path("hello.yaml"), manifest).expect("a manifest is written");
    let script = blocks(&page("docs/quickstart.md"), "sh").concat();
    let script = put(&script, "$PWD/.demo", ".demo");
    let script = put(&script, ".demo", &scratch.path("demo"));
    let script = put(&script, "127.0.0.1:8080", &free_port().to_string());
    let noted =
        format!("cp {}/state/store-id {}\nctl delete", scratch.path("demo"), scratch.path("store-id"));
    let script = put(&script, "ctl delete", &noted);
    let script = put(&script, "manifests/hello.yaml", &scratch.path("hello.yaml"));
    // The id of the store outlives the folder that the page removes: what is left over is found by it.
    let keep = format!(
        "cp {}/state/store-id {} 2>/dev/null || true",
        scratch.path("demo"),
        scratch.path("store-id")
    );
    let prelude =
        format!("set -euo pipefail\ntrap '{keep}; kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");

    let said = runs(&scratch, env!("CARGO_MANIFEST_DIR"), &format!("{prelude}set -x\n{script}"));
    for wanted in [r#""version":"v1""#, r#""version":"v2""#, "3/3 ready on revision 2", "no services"] {
        assert!(said.contains(wanted), "no `{wanted}` in:\n{said}");
    }
}

/// Runs a script in a folder; its output, once it succeeded.
fn runs(scratch: &Scratch, folder: &str, script: &str) -> String {
    let output = fs::File::create(scratch.path("output")).expect("a file");
    let mut shell = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .env("IMAGE", &scratch.image)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a handle"))
        .stderr(output)
        .spawn()
        .expect("bash is installed");
    let succeeded = ends_well(&mut shell);
    let said = fs::read_to_string(scratch.path("output")).expect("its output");
    assert!(succeeded, "{said}");
    said
}

/// The page's own commands, with a daemon of the test's own behind them.
#[test]
fn manifests_directory_page_works() {
    let scratch = Scratch::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let image = runtime.block_on(scratch.run.hello("v1"));
    let text = page("docs/how-to/manifests-directory.md");
    let manifest = put(&blocks(&text, "yaml").concat(), "hello:v1", &image);
    fs::write(scratch.path("hello.yaml"), manifest).expect("a manifest is written");
    let own = format!("ctl serve --state-dir state --http {} --manifests", free_port());
    let script = put(&blocks(&text, "sh").concat(), "ctl serve --manifests", &own);
    let script = put(&script, "kill %1", "cp state/store-id store-id; kill %1");
    let ctl = assert_cmd::cargo::cargo_bin!("ctl").parent().expect("a folder").display().to_string();
    let prelude = format!(
        "set -euo pipefail\nexport PATH={ctl}:$PATH CTL_SOCKET=$PWD/ctl.sock\ntrap 'kill $(jobs -p) 2>/dev/null || true; \
         wait' EXIT\nset -x\n"
    );
    let said = runs(&scratch, &scratch.path(""), &format!("{prelude}{script}"));
    for wanted in ["no longer declares service hello", "service hello"] {
        assert!(said.contains(wanted), "no `{wanted}` in:\n{said}");
    }
}

/// Whether a script ends with 0, within the bound; else all of it is ended.
fn ends_well(shell: &mut Child) -> bool {
    let start = tokio::time::Instant::now();
    while start.elapsed() < QUICKSTART_MAX {
        if let Some(status) = shell.try_wait().expect("a child") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let group = nix::unistd::Pid::from_raw(i32::try_from(shell.id()).expect("a pid"));
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    shell.wait().expect("a child");
    false
}

/// Runs the commands of a page in their order on a daemon that is there, with images of the test's own in place of
/// `hello:v1` and `hello:v2`. A line says with `# exit N` where a command is to end with something else than 0.
fn run_commands(page: &str, daemon: &Daemon) {
    let manifests = blocks(page, "yaml");
    let [manifest] = manifests.as_slice() else { panic!("one manifest is shown: {manifests:?}") };
    let images = [daemon.image("v1"), daemon.image("v2")];
    let file = daemon.file("app.yaml", &put(manifest, "hello:v1", &images[0]));
    let tag = |image: &str| image.rsplit(':').next().expect("a tag").to_owned();
    let own = |word: &str| match word {
        "app.yaml" => file.clone(),
        "v1" => tag(&images[0]),
        "v2" => tag(&images[1]),
        word => word.to_owned(),
    };
    run_lines(page, daemon, own);
}

/// The commands of a page, with the test's own words in place of some of them; what each printed.
fn run_lines(page: &str, daemon: &Daemon, own: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let commands = blocks(page, "sh").concat();
    let mut ran = Vec::new();
    let ours: Vec<&str> = commands.lines().filter(|line| !line.starts_with("make ")).collect();
    assert!(ours.len() >= 3, "{ours:?}");
    for line in ours {
        let (line, comment) = line.split_once(" #").unwrap_or((line, ""));
        let exit = comment.trim().strip_prefix("exit ").map_or(0, |exit| exit.parse().expect("an exit code"));
        let words =
            line.trim().strip_prefix("ctl ").unwrap_or_else(|| panic!("{line} is no command of ours"));
        let words: Vec<String> = words.split_whitespace().map(&own).collect();
        let (printed, _) = daemon.expect(exit, &words.iter().map(String::as_str).collect::<Vec<_>>());
        ran.push((line.trim().to_owned(), printed));
    }
    ran
}

#[test]
fn readme_commands_work() {
    let daemon = Daemon::start();
    let readme = page("README.md");
    let made: Vec<String> = blocks(&readme, "sh").concat().lines().map(str::to_owned).collect();
    let made: Vec<&String> = made.iter().filter(|line| line.starts_with("make ")).collect();
    assert_eq!(made, ["make demo", "make test"]);
    run_commands(&readme, &daemon);
    assert!(daemon.get("hello.localhost", "/").expect("an answer").1.contains("v2"));
}

#[test]
fn tls_page_works() {
    let (daemon, _) = tls::start();
    let text = page("docs/how-to/tls.md");
    let manifests = blocks(&text, "yaml");
    let [of_files, of_authority] = manifests.as_slice() else { panic!("two manifests: {manifests:?}") };
    let image = daemon.image("v1");
    let [cert, key] = [daemon.file("hello.pem", ""), daemon.file("hello.key", "")];
    tls::write_pair("hello.test", Some(Path::new(&cert)), Some(Path::new(&key)));
    let of_files = put(&put(of_files, "/etc/ssl/hello.pem", &cert), "/etc/ssl/hello.key", &key);
    let app = daemon.file("app.yaml", &put(&of_files, "hello:v1", &image));
    let local = daemon.file("local.yaml", &put(of_authority, "hello:v1", &image));
    let own = |word: &str| match word {
        "app.yaml" => app.clone(),
        "local.yaml" => local.clone(),
        word => word.to_owned(),
    };
    let ran = run_lines(&text, &daemon, own);
    for (command, part) in [
        ("ctl get certificates", "Valid"),
        ("ctl get certificates hello -o yaml", "state: Valid"),
        ("ctl get certificates -o wide", "local CA"),
        ("ctl certificate trust", "BEGIN CERTIFICATE"),
    ] {
        let (_, printed) = ran.iter().find(|(line, _)| line == command).expect(command);
        assert!(printed.contains(part), "{command}: no `{part}` in {printed}");
    }
}

#[test]
fn rootless_docker_page_works() {
    let daemon = Daemon::start_with(&["--exposure", "published"]);
    let text = page("docs/how-to/rootless.md");
    run_commands(&text, &daemon);
    let (status, _) = daemon.expect(0, &["status"]);
    let line = "exposure  containers are reached at ports published on 127.0.0.1";
    assert!(text.contains(line) && status.contains(line), "{status}");
}

#[test]
fn inspect_and_undo_page_works() {
    let daemon = Daemon::start();
    run_commands(&page("docs/how-to/undo.md"), &daemon);
    let (history, _) = daemon.expect(0, &["history", "hello"]);
    for outcome in ["complete, current", "aborted"] {
        assert!(history.contains(outcome), "no `{outcome}` in:\n{history}");
    }
}

/// The commands on a service that has crashed three times, and what the page says that they show.
#[test]
fn crashing_service_page_works() {
    let daemon = Daemon::start();
    crashing::serve_and_crash(&daemon, 3);
    let text = page("docs/how-to/crashing-service.md");
    let ran = run_lines(&text, &daemon, str::to_owned);
    let shown = [
        ("ctl get", "3 ("),
        ("ctl get replicas", "3 ("),
        ("ctl why hello", "exited with code 3"),
        ("ctl why hello", "CrashLooping"),
        ("ctl logs hello --previous", "stopping: exit requested"),
        ("ctl describe hello", "last exits"),
        ("ctl events hello", "CrashLooping"),
    ];
    for (command, part) in shown {
        let (_, printed) = ran.iter().find(|(line, _)| line == command).expect(command);
        assert!(printed.contains(part), "{command}: no `{part}` in {printed}");
    }
    let service = daemon.json(&["get", "hello", "-o", "json"]);
    for field in ["restartCount", "lastExit"] {
        assert!(text.contains(field) && service["status"].get(field).is_some(), "{field}: {service}");
    }
}

#[test]
fn verify_page_works() {
    run_commands(&page("docs/how-to/verify.md"), &Daemon::start());
}

#[test]
fn live_changes_page_works() {
    let daemon = Daemon::start();
    run_commands(&page("docs/how-to/live-changes.md"), &daemon);
}

#[test]
fn volumes_page_works() {
    let daemon = Daemon::start();
    run_commands(&page("docs/how-to/volumes.md"), &daemon);
    let ours = format!("label=coxswain.store={}", daemon.store());
    assert_eq!(docker(&["volume", "ls", "--quiet", "--filter", &ours]), "");
}

#[test]
fn tcp_page_works() {
    let daemon = Daemon::start();
    let port = free_port().port();
    let text = put(&page("docs/how-to/tcp.md"), "listen: 7000}", &format!("listen: {port}}}"));
    run_commands(&text, &daemon);
}

#[test]
fn container_options_page_works() {
    let daemon = Daemon::start();
    run_commands(&page("docs/how-to/container-options.md"), &daemon);
}

#[test]
fn rolling_upgrade_page_works() {
    let daemon = Daemon::start();
    run_commands(&page("docs/how-to/rolling-upgrade.md"), &daemon);
    let (history, _) = daemon.expect(0, &["history", "hello"]);
    assert!(history.contains("complete, current"), "{history}");
}

/// The page's commands, on a daemon with a service, whose containers keep serving.
#[test]
fn store_commands_of_how_to_page_work() {
    let daemon = Daemon::start();
    let backup = daemon.file("unused", "").replace("unused", "store-backup");
    let text = put(&page("docs/how-to/store.md"), "snapshot store-backup", &format!("snapshot {backup}"));
    run_commands(&put(&text, "restore store-backup", &format!("restore {backup}")), &daemon);
    let before = daemon.containers("hello", true);
    wait_for("the store is back", || daemon.ctl(&["store", "check"]).status.success());
    wait_for("its service too", || daemon.ctl(&["wait", "hello", "--for", "ready"]).status.success());
    assert_eq!(daemon.containers("hello", true), before, "they were adopted");

    daemon.expect(0, &["store", "new", "--yes"]);
    wait_for("an empty store", || {
        daemon.ctl(&["store", "check"]).status.success()
            && daemon.ctl(&["get", "hello"]).status.code() == Some(2)
    });
    assert_eq!(
        docker(&["ps", "--quiet", "--no-trunc", "--filter", &format!("id={}", before[0])]).trim(),
        before[0]
    );
    daemon.expect(0, &["store", "restore", &backup, "--yes"]);
    wait_for("the service is back", || daemon.ctl(&["wait", "hello", "--for", "ready"]).status.success());
    assert_eq!(daemon.containers("hello", true), before, "and still the same containers");
}
