//! The plan of `ctl system install`. Pure.

use std::path::{Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::daemon::BALANCER_ID;

use super::facts::SystemFacts;
use super::layout::{API_GROUP, BALANCER_USER, SystemLayout};
use super::pages::SharedFile;
use super::step::Step;
use super::unit::{OPTIONS_FILE, UNIT, first_difference, unit};
use crate::error::CliError;

/// Mode of the state directory: the balancer gets a directory inside by descriptor, and no other user needs it.
const STATE_MODE: u32 = 0o700;
/// Directories that the unit hides from the daemon, or that do not outlive a reboot.
const UNFIT_PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev"];

/// What an install is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallRequest {
    pub(crate) layout: SystemLayout,
    /// Replace a unit that differs.
    pub(crate) force: bool,
    /// Completion scripts and man pages.
    pub(crate) shared: Vec<SharedFile>,
}

impl InstallRequest {
    /// The files whose text the plan depends on.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let shared = self.shared.iter().map(|file| self.layout.share().join(&file.path));
        let own = [self.layout.unit(), self.layout.options()];
        own.into_iter().chain(self.layout.packaged_units()).chain(shared).collect()
    }
}

/// The steps, in their order.
///
/// # Errors
/// When the unit differs, belongs to a package, or the program cannot be started from where it is.
pub(crate) fn plan(request: &InstallRequest, facts: &SystemFacts) -> Result<Vec<Step>, CliError> {
    let InstallRequest { layout, force, shared } = request;
    refuse_packaged(layout, facts)?;
    if layout.is_this_machine() {
        refuse_unfit(&facts.executable)?;
    }
    let unit_text = unit(&facts.executable);
    let path = layout.unit();
    if let Some(found) = facts.files.get(&path).filter(|found| **found != unit_text && !force) {
        return Err(unit_differs(&path, found, &unit_text));
    }
    let mut steps = Vec::new();
    if layout.is_this_machine() {
        add_users(facts, &mut steps)?;
    }
    match facts.state_exists {
        true => steps.push(unchanged(&layout.state())),
        false => steps.push(Step::CreateDirectory { path: layout.state(), mode: STATE_MODE }),
    }
    let has_new_unit = facts.files.get(&path) != Some(&unit_text);
    steps.push(write(facts, path, &unit_text));
    match facts.files.contains_key(&layout.options()) {
        true => steps.push(kept_options(layout)),
        false => steps.push(write(facts, layout.options(), OPTIONS_FILE)),
    }
    steps.extend(shared.iter().map(|file| write(facts, layout.share().join(&file.path), &file.text)));
    if layout.is_this_machine() {
        add_start(facts, has_new_unit, &mut steps);
    }
    Ok(steps)
}

fn add_users(facts: &SystemFacts, steps: &mut Vec<Step>) -> Result<(), CliError> {
    let taken = |kind: &str, name: &Option<String>| match name {
        Some(name) if name != BALANCER_USER => Err(CliError::of(
            &codes::INSTALL_FAILED,
            format!("{kind} id {BALANCER_ID}, as which the balancer runs, belongs to {name}"),
        )),
        _ => Ok(()),
    };
    taken("user", &facts.balancer_user)?;
    taken("group", &facts.balancer_group)?;
    match facts.api_group_exists {
        true => steps.push(Step::Keep { what: format!("group {API_GROUP}"), reason: "exists" }),
        false => steps.push(Step::CreateGroup { name: API_GROUP, id: None }),
    }
    if !facts.has_balancer_group() {
        steps.push(Step::CreateGroup { name: BALANCER_USER, id: Some(BALANCER_ID) });
    }
    match facts.has_balancer_user() {
        true => steps.push(Step::Keep { what: format!("user {BALANCER_USER}"), reason: "exists" }),
        false => {
            steps.push(Step::CreateUser { name: BALANCER_USER, id: BALANCER_ID, group: BALANCER_USER });
        }
    }
    Ok(())
}

fn add_start(facts: &SystemFacts, has_new_unit: bool, steps: &mut Vec<Step>) {
    if !facts.systemd_runs {
        let reason = "not started: systemd does not run here";
        return steps.push(Step::Keep { what: UNIT.to_owned(), reason });
    }
    if has_new_unit {
        let planned = "let systemd read the unit";
        steps.push(Step::Systemctl { arguments: &["daemon-reload"], done: "systemd read the unit", planned });
    }
    if facts.service_runs {
        let done = "enabled coxswain.service";
        let planned = "enable coxswain.service";
        steps.push(Step::Systemctl { arguments: &["enable", UNIT], done, planned });
        let done = "reloaded coxswain.service: the running daemon continues with this version";
        let planned = "reload coxswain.service: the running daemon continues with this version";
        steps.push(Step::Systemctl { arguments: &["reload", UNIT], done, planned });
        if has_new_unit {
            let reason = "its changed limits and rights apply after systemctl restart coxswain";
            steps.push(Step::Keep { what: UNIT.to_owned(), reason });
        }
        return;
    }
    let done = "enabled and started coxswain.service";
    let planned = "enable and start coxswain.service";
    steps.push(Step::Systemctl { arguments: &["enable", "--now", UNIT], done, planned });
}

fn write(facts: &SystemFacts, path: PathBuf, text: &str) -> Step {
    match facts.files.get(&path) {
        Some(found) if found == text => unchanged(&path),
        found => Step::WriteFile { replaces: found.is_some(), path, text: text.to_owned() },
    }
}

fn unchanged(path: &Path) -> Step {
    Step::Keep { what: path.display().to_string(), reason: "unchanged" }
}

fn kept_options(layout: &SystemLayout) -> Step {
    Step::Keep { what: layout.options().display().to_string(), reason: "kept: it holds your options" }
}

/// A package's files belong to the package manager.
pub(crate) fn refuse_packaged(layout: &SystemLayout, facts: &SystemFacts) -> Result<(), CliError> {
    match layout.packaged_units().into_iter().find(|path| facts.files.contains_key(path)) {
        None => Ok(()),
        Some(path) => {
            let next = vec!["systemctl enable --now coxswain".to_owned(), "apt remove coxswain".to_owned()];
            let what = format!("a package has installed the service: {}", path.display());
            Err(ErrorDetail { next, ..codes::INSTALL_FAILED.detail(what) }.into())
        }
    }
}

fn refuse_unfit(executable: &Path) -> Result<(), CliError> {
    let deleted = executable.to_string_lossy().ends_with(" (deleted)");
    if !deleted && !UNFIT_PLACES.iter().any(|place| executable.starts_with(place)) {
        return Ok(());
    }
    let path = executable.display();
    let what = format!("the service cannot start {path}: it is in a temporary place, or was replaced");
    let next = vec![
        "install -m 755 ctl /usr/local/bin/ctl".to_owned(),
        "/usr/local/bin/ctl system install".to_owned(),
    ];
    Err(ErrorDetail { next, ..codes::INSTALL_FAILED.detail(what) }.into())
}

fn unit_differs(path: &Path, found: &str, wanted: &str) -> CliError {
    let what = format!("{} exists and differs from the unit of this version", path.display());
    let why = vec![first_difference(found, wanted)];
    let now = Some("nothing was changed".to_owned());
    let next = vec!["ctl system install --force --dry-run".to_owned(), "systemctl edit coxswain".to_owned()];
    ErrorDetail { why, now, next, ..codes::UNIT_DIFFERS.detail(what) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::step::{StepMode, command};

    fn request() -> InstallRequest {
        let shared = vec![SharedFile { path: "man/man1/ctl.1".into(), text: "page".to_owned() }];
        InstallRequest { layout: SystemLayout::new("/"), force: false, shared }
    }

    fn bare() -> SystemFacts {
        SystemFacts { executable: "/usr/local/bin/ctl".into(), systemd_runs: true, ..SystemFacts::default() }
    }

    fn lines(request: &InstallRequest, facts: &SystemFacts) -> Vec<String> {
        plan(request, facts).unwrap().iter().map(|step| step.line(StepMode::DryRun)).collect()
    }

    /// A machine on which all steps were carried out.
    fn installed() -> SystemFacts {
        let mut facts = bare();
        for step in plan(&request(), &facts).unwrap() {
            if let Step::WriteFile { path, text, .. } = step {
                facts.files.insert(path, text);
            }
        }
        let balancer = Some(BALANCER_USER.to_owned());
        SystemFacts {
            state_exists: true,
            api_group_exists: true,
            balancer_user: balancer.clone(),
            balancer_group: balancer,
            ..facts
        }
    }

    fn error(request: &InstallRequest, facts: &SystemFacts) -> String {
        format!("{:?}", plan(request, facts).unwrap_err())
    }

    #[test]
    fn bare_machine_gets_users_files_and_a_started_unit() {
        let expected = [
            "+ would create group coxswain",
            "+ would create group coxswain-balancer (id 65530)",
            "+ would create user coxswain-balancer (id 65530)",
            "+ would create directory /var/lib/coxswain (mode 0700)",
            "+ would write /etc/systemd/system/coxswain.service",
            "+ would write /etc/default/coxswain",
            "+ would write /usr/local/share/man/man1/ctl.1",
            "~ would let systemd read the unit",
            "~ would enable and start coxswain.service",
        ];
        assert_eq!(lines(&request(), &bare()), expected);
        let steps = plan(&request(), &bare()).unwrap();
        let commands: Vec<String> = steps.iter().filter_map(command).map(|words| words.join(" ")).collect();
        assert_eq!(commands[0], "groupadd --system coxswain");
        assert_eq!(commands[4], "systemctl enable --now coxswain.service");
    }

    #[test]
    fn second_install_changes_nothing_but_starts_the_unit() {
        let steps = plan(&request(), &installed()).unwrap();
        let changing: Vec<&Step> = steps.iter().filter(|step| !matches!(step, Step::Keep { .. })).collect();
        assert!(
            matches!(changing[..], [Step::Systemctl { arguments: ["enable", "--now", UNIT], .. }]),
            "{changing:?}"
        );
    }

    #[test]
    fn running_service_is_reloaded_and_not_restarted() {
        let facts = SystemFacts { service_runs: true, ..installed() };
        let steps = plan(&request(), &facts).unwrap();
        let commands: Vec<String> = steps.iter().filter_map(command).map(|words| words.join(" ")).collect();
        assert_eq!(commands, ["systemctl enable coxswain.service", "systemctl reload coxswain.service"]);
    }

    #[test]
    fn options_are_never_replaced() {
        let mut facts = installed();
        facts
            .files
            .insert("/etc/default/coxswain".into(), "CTL_SERVE_OPTIONS=\"--http 0.0.0.0:80\"".to_owned());
        let request = InstallRequest { force: true, ..request() };
        assert!(
            lines(&request, &facts)
                .contains(&"= /etc/default/coxswain  kept: it holds your options".to_owned())
        );
    }

    #[test]
    fn unit_that_differs_is_refused_with_its_line_and_replaced_by_force() {
        let mut facts = installed();
        facts.files.insert("/etc/systemd/system/coxswain.service".into(), "[Unit]\n".to_owned());
        let text = error(&request(), &facts);
        for wanted in ["CTL-0602", "line 1: `[Unit]`", "--force", "nothing was changed"] {
            assert!(text.contains(wanted), "{text}");
        }
        let force = InstallRequest { force: true, ..request() };
        assert!(
            lines(&force, &facts)
                .contains(&"~ would replace /etc/systemd/system/coxswain.service".to_owned())
        );
    }

    #[test]
    fn package_temporary_program_and_taken_id_are_refused() {
        let mut packaged = bare();
        packaged.files.insert("/usr/lib/systemd/system/coxswain.service".into(), String::new());
        let temporary = SystemFacts { executable: "/tmp/x/ctl".into(), ..bare() };
        let deleted = SystemFacts { executable: "/usr/bin/ctl (deleted)".into(), ..bare() };
        let taken = SystemFacts { balancer_user: Some("ann".to_owned()), ..bare() };
        for (facts, wanted) in [
            (packaged, "a package has installed the service"),
            (temporary, "the service cannot start /tmp/x/ctl"),
            (deleted, "the service cannot start /usr/bin/ctl (deleted)"),
            (taken, "user id 65530, as which the balancer runs, belongs to ann"),
        ] {
            let text = error(&request(), &facts);
            assert!(text.contains(wanted), "{text}");
        }
    }

    #[test]
    fn other_root_gets_files_only() {
        let request = InstallRequest { layout: SystemLayout::new("/pkg"), ..request() };
        let steps = plan(&request, &bare()).unwrap();
        assert!(steps.iter().all(|step| command(step).is_none()), "{steps:?}");
        assert!(
            lines(&request, &bare())
                .contains(&"+ would write /pkg/etc/systemd/system/coxswain.service".to_owned())
        );
    }

    #[test]
    fn machine_without_systemd_is_told_that_nothing_was_started() {
        let facts = SystemFacts { systemd_runs: false, ..bare() };
        let last = lines(&request(), &facts).pop();
        assert_eq!(last.as_deref(), Some("= coxswain.service  not started: systemd does not run here"));
    }

    #[test]
    fn package_reloads_a_running_daemon_at_an_upgrade() {
        let script = include_str!("../../../../packaging/debian/postinst");
        assert!(script.contains("systemctl reload coxswain.service ||"), "{script}");
        assert!(!script.contains("systemctl restart coxswain.service"), "{script}");
    }

    #[test]
    fn package_creates_the_same_users() {
        let script = include_str!("../../../../packaging/debian/postinst");
        for wanted in [
            format!("balancer_id={BALANCER_ID}\n"),
            format!("groupadd --system {API_GROUP}\n"),
            format!("nologin {BALANCER_USER}\n"),
            "--home-dir /nonexistent --no-create-home".to_owned(),
        ] {
            assert!(script.contains(&wanted), "{wanted}");
        }
    }
}
