//! `ctl system` without a daemon: what it writes below a directory, what it refuses, and systemd's verdict on the unit.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::stub::Stub;
use super::transcript::{run, transcript};

#[test]
fn install_and_uninstall_below_a_directory() {
    let stub = Stub::start();
    let shown = transcript(
        &stub,
        &[
            "system install --root pkg --dry-run",
            "system install --root pkg",
            "system uninstall --root pkg --dry-run --purge",
            "system uninstall --root pkg --purge",
            "system uninstall --root pkg --purge --yes",
            "system uninstall --root pkg",
        ],
    );
    // there is a page per command
    let settled = |line: &str| match line.split_once(" man pages in ") {
        Some((head, directory)) => {
            let verb = head.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{verb}N man pages in {directory}")
        }
        None => line.to_owned(),
    };
    let shown = shown.lines().map(settled).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("system_install", shown);
}

#[test]
fn second_install_changes_nothing_and_an_edited_unit_is_refused() {
    let stub = Stub::start();
    assert_eq!(run(&stub, "system install --root pkg").exit, 0);
    let unit = stub.directory().join("pkg/etc/systemd/system/coxswain.service");
    let options = stub.directory().join("pkg/etc/default/coxswain");
    fs::write(&options, "CTL_SERVE_OPTIONS=\"--http 0.0.0.0:80\"\n").unwrap();
    let again = run(&stub, "system install --root pkg");
    assert!(again.stdout.lines().all(|line| line.starts_with('=')), "{}", again.stdout);

    let text = fs::read_to_string(&unit).unwrap().replace("RestartSec=500ms", "RestartSec=7s");
    fs::write(&unit, &text).unwrap();
    let refused = run(&stub, "system install --root pkg");
    assert_eq!(refused.exit, 7, "{}", refused.stderr);
    for wanted in ["CTL-0602", "pkg/etc/systemd/system/coxswain.service", "`RestartSec=7s`", "--force"] {
        assert!(refused.stderr.contains(wanted), "no `{wanted}` in:\n{}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(&unit).unwrap(), text, "nothing was changed");
    assert_eq!(run(&stub, "system install --root pkg --force").exit, 0);
    assert!(fs::read_to_string(&unit).unwrap().contains("RestartSec=500ms"));
    assert!(fs::read_to_string(&options).unwrap().contains("0.0.0.0:80"), "options are the user's");
}

#[test]
fn file_in_place_of_a_directory_is_named() {
    let stub = Stub::start();
    fs::create_dir(stub.directory().join("pkg")).unwrap();
    fs::write(stub.directory().join("pkg/etc"), "in the way").unwrap();
    let failed = run(&stub, "system install --root pkg");
    assert_eq!(failed.exit, 3, "{}", failed.stderr);
    assert!(failed.stderr.contains("CTL-0603") && failed.stderr.contains("pkg/etc"), "{}", failed.stderr);
}

/// systemd reads the unit without a complaint, where systemd is installed; the keys that matter are checked elsewhere.
#[test]
fn systemd_accepts_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().display().to_string();
    let stub = Stub::start();
    let written = run(&stub, &format!("system files {package} --executable /bin/true"));
    assert_eq!(written.exit, 0, "{}", written.stderr);
    let unit = dir.path().join("systemd/coxswain.service");
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
    let Ok(verify) = verify else { return };
    let said = String::from_utf8_lossy(&[verify.stdout, verify.stderr].concat()).into_owned();
    let own: Vec<&str> = said.lines().filter(|line| line.contains("coxswain")).collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[test]
fn files_of_a_package_are_complete() {
    let dir = tempfile::tempdir().unwrap();
    let stub = Stub::start();
    assert_eq!(run(&stub, &format!("system files {}", dir.path().display())).exit, 0);
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(text("systemd/coxswain.service").contains("ExecStart=/usr/bin/ctl serve"));
    assert!(text("default/coxswain").contains("CTL_SERVE_OPTIONS="));
    assert!(text("share/man/man1/ctl.1").contains(".TH"));
    for name in
        ["bash-completion/completions/ctl", "zsh/site-functions/_ctl", "fish/vendor_completions.d/ctl.fish"]
    {
        assert!(text(&format!("share/{name}")).contains("rollout"), "{name}");
    }
    let cargo = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for (at, name) in
        cargo.split("\"target/package/").skip(1).filter_map(|rest| rest.split_once('"')).enumerate()
    {
        let name = name.0.trim_end_matches("/*");
        let is_there = name == "ctl" || dir.path().join(name).exists();
        assert!(is_there, "asset {at} of the Debian package: {name}");
    }
}

/// The lines of a page's shell blocks that run `ctl`, without `sudo` and comments.
fn commands_of(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let lines = blocks.flat_map(|(block, _)| block.lines());
    let bare = lines.map(|line| line.split(" #").next().unwrap().trim().trim_start_matches("sudo "));
    bare.filter_map(|line| line.strip_prefix("ctl ")).map(str::to_owned).collect()
}

/// The pages' own commands in their order, below a directory in place of the machine.
#[test]
fn service_and_upgrade_pages_work() {
    let pages = [
        ("docs/how-to/run-as-a-service.md", 8),
        ("docs/how-to/upgrade.md", 4),
        ("docs/how-to/firewall.md", 1),
    ];
    for (page, wanted) in pages {
        let stub = Stub::start();
        let commands = commands_of(page);
        assert_eq!(commands.len(), wanted, "{page}: {commands:?}");
        for command in commands {
            let here = match command.starts_with("system ") {
                true if command.contains("--purge") => format!("{command} --yes --root pkg"),
                true => format!("{command} --root pkg"),
                false => command.clone(),
            };
            let ran = run(&stub, &here);
            // other pages run the commands that need a daemon on a real one
            let is_understood = ran.exit == 0 || !command.starts_with("system ") && ran.exit != 2;
            assert!(is_understood, "{page}: {here}\n{}", ran.stderr);
        }
        assert!(!stub.directory().join("pkg/var/lib/coxswain").exists(), "{page}: purged");
    }
}
