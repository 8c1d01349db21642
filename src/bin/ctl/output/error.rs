//! The text of errors: `error[CODE]: what`, then why, now, next and help. Pure.

use coxswain::api::types::ErrorDetail;

use super::style::{Paint, Style};
use crate::error::CliError;
use coxswain::model::sanitize;

/// `None` if the error has no text.
pub(super) fn render(error: &CliError, style: Style) -> Option<String> {
    match error {
        CliError::Failed(errors) => {
            let blocks: Vec<String> = errors.iter().map(|error| block(error, style)).collect();
            Some(blocks.join("\n\n"))
        }
        CliError::Manifests { reports, error } => {
            let reports = reports.iter().map(|report| report.trim_end().to_owned());
            Some(reports.chain([block(error, style)]).collect::<Vec<_>>().join("\n\n"))
        }
        CliError::Declined(outcome) => Some((*outcome).to_owned()),
        CliError::Detached(how) => Some(format!("detached: {how}")),
        CliError::Output(error) => {
            Some(format!("{} cannot write to standard output: {error}", heading(style, None)))
        }
        CliError::BrokenPipe | CliError::Differs => None,
    }
}

fn heading(style: Style, code: Option<&str>) -> String {
    let heading = code.map_or_else(|| "error:".to_owned(), |code| format!("error[{code}]:"));
    style.paint(Paint::Bad, &heading)
}

fn block(error: &ErrorDetail, style: Style) -> String {
    let ErrorDetail { code, exit: _, what, why, log, kept, class, now, next, problems } = error;
    let mut lines = vec![format!("{} {}", heading(style, Some(code)), sanitize(what))];
    let mut field = |name: &str, values: &mut dyn Iterator<Item = &str>| {
        for (index, value) in values.enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:<7}  {}", sanitize(value)));
        }
    };
    let problems: Vec<String> =
        problems.iter().map(|p| problem(p.problem.path.as_str(), &p.problem.message)).collect();
    field("why", &mut why.iter().chain(&problems).map(String::as_str));
    field("log", &mut log.iter().map(String::as_str));
    field("now", &mut now.as_deref().into_iter());
    field("kept", &mut kept.as_deref().into_iter());
    field("next", &mut next.iter().map(String::as_str));
    let help: Vec<String> = [Some(code), class.as_ref()].into_iter().flatten().map(explain).collect();
    field("help", &mut help.iter().map(String::as_str));
    lines.join("\n")
}

fn explain(code: &String) -> String {
    format!("ctl explain {code}")
}

fn problem(path: &str, message: &str) -> String {
    if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") }
}

#[cfg(test)]
mod tests {
    use coxswain::api::codes;

    use super::*;

    #[test]
    fn error_block_has_what_why_now_next_help() {
        let error = ErrorDetail {
            why: vec!["users-10-a exited with code 1".into(), "users-10-b \x1b[31mexited".into()],
            now: Some("revision 9 runs".into()),
            next: vec!["ctl events users".into()],
            ..codes::ROLLED_BACK.detail("rollout of users to 1.5.1 failed and was rolled back")
        };
        let text = block(&error, Style { colour: false, unicode: true });
        assert_eq!(
            text,
            "error[CTL-0412]: rollout of users to 1.5.1 failed and was rolled back\n  \
             why      users-10-a exited with code 1\n           \
             users-10-b exited\n  \
             now      revision 9 runs\n  \
             next     ctl events users\n  \
             help     ctl explain CTL-0412"
        );
    }

    #[test]
    fn broken_pipe_has_no_text() {
        assert_eq!(render(&CliError::BrokenPipe, Style { colour: true, unicode: true }), None);
    }
}
