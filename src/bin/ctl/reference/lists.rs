//! `docs/reference/errors.md` and `docs/reference/events.md`: closed lists and their meanings.

use std::fmt::Debug;

use coxswain::api::codes;
use coxswain::model::{ConditionKind, EventReason, Reason};

use super::{check, head, sentence, table};

#[test]
fn errors_page_is_up_to_date() {
    let about = "Every error of `ctl` has a code. `ctl explain CODE` prints the same text. See also the \
                 [exit codes](cli.md#exit-codes).";
    let mut out = head("Errors", about);
    for code in codes::all() {
        let codes::Code { id, exit, title, meaning, remedy } = code;
        out += &format!("\n## {id}: {title}\n\nExit {exit}. {meaning}\n\n{remedy}\n");
    }
    check("errors.md", &out);
}

#[test]
fn events_page_is_up_to_date() {
    let about = "Conditions and events of services, replicas and nodes. The lists are complete, so programs can rely on \
                 them. `ctl explain REASON` prints the same text.";
    let mut out = head("Events and conditions", about);
    out += "\n## Conditions\n\nThe current state, shown by `ctl get SERVICE -o yaml` and `ctl status`.\n\n";
    out += &table(&["condition", "meaning"], words(ConditionKind::ALL));
    out += "\nReasons:\n\n";
    out += &table(&["reason", "meaning"], words(Reason::ALL));
    out += "\n## Events\n\nWhat happened, shown by `ctl events`, oldest first. The latest events of each service are kept.\n\n";
    out += &table(&["reason", "meaning"], words(EventReason::ALL));
    check("events.md", &out);
}

fn words<T: Debug>(all: &[(T, &str)]) -> Vec<Vec<String>> {
    all.iter().map(|(word, meaning)| vec![format!("`{word:?}`"), sentence(meaning)]).collect()
}
