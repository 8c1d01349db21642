//! The plan of `ctl system uninstall`. Pure.

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;

use super::facts::SystemFacts;
use super::install::{InstallRequest, refuse_packaged};
use super::layout::{API_GROUP, BALANCER_USER};
use super::step::Step;
use super::unit::{UNIT, is_ours};
use crate::error::CliError;

/// The steps, in their order; `purge` also removes what would be needed to run the service again: state, options, users.
///
/// # Errors
/// When a package has installed the service, or the unit is not one that an install wrote.
pub(crate) fn plan(
    request: &InstallRequest,
    facts: &SystemFacts,
    purge: bool,
) -> Result<Vec<Step>, CliError> {
    let layout = &request.layout;
    refuse_packaged(layout, facts)?;
    let unit = layout.unit();
    let mut steps = Vec::new();
    if let Some(text) = facts.files.get(&unit) {
        if !is_ours(text) && !request.force {
            let what = format!("{} was not written by `ctl system install`", unit.display());
            let now = Some("nothing was changed".to_owned());
            let next = vec!["ctl system uninstall --force".to_owned()];
            return Err(ErrorDetail { now, next, ..codes::UNIT_DIFFERS.detail(what) }.into());
        }
        let systemd = layout.is_this_machine() && facts.systemd_runs;
        if systemd {
            let done = "stopped and disabled coxswain.service";
            let planned = "stop and disable coxswain.service";
            steps.push(Step::Systemctl { arguments: &["disable", "--now", UNIT], done, planned });
        }
        steps.push(Step::RemoveFile { path: unit });
        if systemd {
            let done = "systemd forgot the unit";
            steps.push(Step::Systemctl {
                arguments: &["daemon-reload"],
                done,
                planned: "let systemd forget the unit",
            });
        }
    }
    let shared = request.shared.iter().map(|file| layout.share().join(&file.path));
    steps.extend(shared.filter(|path| facts.files.contains_key(path)).map(|path| Step::RemoveFile { path }));
    if purge {
        add_purge(request, facts, &mut steps);
    } else {
        add_kept(request, facts, &mut steps);
    }
    Ok(steps)
}

fn add_purge(request: &InstallRequest, facts: &SystemFacts, steps: &mut Vec<Step>) {
    let layout = &request.layout;
    if facts.files.contains_key(&layout.options()) {
        steps.push(Step::RemoveFile { path: layout.options() });
    }
    if facts.state_exists {
        steps.push(Step::RemoveDirectory { path: layout.state() });
    }
    if facts.has_balancer_user() {
        steps.push(Step::DeleteUser { name: BALANCER_USER });
    }
    // `userdel` removes the user's own group
    if facts.has_balancer_group() && !facts.has_balancer_user() {
        steps.push(Step::DeleteGroup { name: BALANCER_USER });
    }
    if facts.api_group_exists {
        steps.push(Step::DeleteGroup { name: API_GROUP });
    }
}

fn add_kept(request: &InstallRequest, facts: &SystemFacts, steps: &mut Vec<Step>) {
    let layout = &request.layout;
    let reason = "kept; --purge removes it";
    let mut keep = |what: String, exists: bool| {
        if exists {
            steps.push(Step::Keep { what, reason });
        }
    };
    keep(layout.state().display().to_string(), facts.state_exists);
    keep(layout.options().display().to_string(), facts.files.contains_key(&layout.options()));
    keep(format!("group {API_GROUP}"), facts.api_group_exists);
    keep(format!("user {BALANCER_USER}"), facts.has_balancer_user());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::layout::SystemLayout;
    use crate::system::pages::SharedFile;
    use crate::system::step::StepMode;

    fn request() -> InstallRequest {
        let shared = vec![SharedFile { path: "man/man1/ctl.1".into(), text: "page".to_owned() }];
        InstallRequest { layout: SystemLayout::new("/"), force: false, shared }
    }

    fn installed(unit: &str) -> SystemFacts {
        let files = [
            ("/etc/systemd/system/coxswain.service", unit),
            ("/etc/default/coxswain", ""),
            ("/usr/local/share/man/man1/ctl.1", "an older page"),
        ];
        let balancer = Some(BALANCER_USER.to_owned());
        SystemFacts {
            files: files.map(|(path, text)| (path.into(), text.to_owned())).into(),
            state_exists: true,
            api_group_exists: true,
            balancer_user: balancer.clone(),
            balancer_group: balancer,
            systemd_runs: true,
            ..SystemFacts::default()
        }
    }

    fn lines(facts: &SystemFacts, purge: bool) -> Vec<String> {
        let steps = plan(&request(), facts, purge).unwrap();
        steps.iter().map(|step| step.line(StepMode::CarryOut)).collect()
    }

    #[test]
    fn uninstall_keeps_state_and_says_so() {
        let facts = installed("# Unit of the Coxswain daemon. An older one.\n");
        let expected = [
            "~ stopped and disabled coxswain.service",
            "- removed /etc/systemd/system/coxswain.service",
            "~ systemd forgot the unit",
            "- removed /usr/local/share/man/man1/ctl.1",
            "= /var/lib/coxswain  kept; --purge removes it",
            "= /etc/default/coxswain  kept; --purge removes it",
            "= group coxswain  kept; --purge removes it",
            "= user coxswain-balancer  kept; --purge removes it",
        ];
        assert_eq!(lines(&facts, false), expected);
    }

    #[test]
    fn purge_removes_state_options_and_users() {
        let facts = installed("# Unit of the Coxswain daemon.\n");
        let expected = [
            "- removed /etc/default/coxswain",
            "- removed /var/lib/coxswain and all that is in it",
            "- deleted user coxswain-balancer",
            "- deleted group coxswain",
        ];
        assert_eq!(lines(&facts, true)[4..], expected);
    }

    #[test]
    fn unit_of_someone_else_is_refused() {
        let error = format!("{:?}", plan(&request(), &installed("[Unit]\n"), false).unwrap_err());
        assert!(error.contains("CTL-0602") && error.contains("--force"), "{error}");
    }

    #[test]
    fn bare_machine_has_nothing_to_remove() {
        assert_eq!(plan(&request(), &SystemFacts::default(), true).unwrap(), []);
    }
}
