//! `docs/reference/errors.md` and `docs/reference/events.md`: closed lists with their meanings.

use std::fmt::Debug;

use coxswain::api::codes;
use coxswain::model::{ConditionKind, EventReason, Reason};

use super::{check, head, sentence, table};

#[test]
fn the_page_of_errors_is_what_the_code_says() {
    let about = "What `ctl` says when something does not work has a code. `ctl explain CODE` shows the same in a \
                 terminal. The exit codes are explained with the [commands](cli.md#exit-codes).";
    let mut out = head("Errors", about);
    for code in codes::ALL {
        let codes::Code { id, exit, title, meaning, remedy } = code;
        out += &format!("\n## {id}: {title}\n\nExit {exit}. {meaning}\n\n{remedy}\n");
    }
    check("errors.md", &out);
}

#[test]
fn the_page_of_events_is_what_the_code_says() {
    let about = "What the daemon says of services, replicas and the host. The lists are closed: a program may rely on \
                 the words. `ctl explain REASON` shows the same in a terminal.";
    let mut out = head("Events and conditions", about);
    out += "\n## Conditions\n\nWhat holds right now: `ctl get SERVICE -o yaml` and `ctl status` show it.\n\n";
    out += &table(&["condition", "what it says"], words(ConditionKind::ALL));
    out += "\nWhy it holds or does not:\n\n";
    out += &table(&["reason", "meaning"], words(Reason::ALL));
    out += "\n## Events\n\nWhat happened: `ctl events` shows it, oldest first. Of each service the last are kept.\n\n";
    out += &table(&["reason", "meaning"], words(EventReason::ALL));
    check("events.md", &out);
}

fn words<T: Debug>(all: &[(T, &str)]) -> Vec<Vec<String>> {
    all.iter().map(|(word, meaning)| vec![format!("`{word:?}`"), sentence(meaning)]).collect()
}
