//! `docs/reference/other-tools.md`: keys and kinds of Docker Compose and Kubernetes, and what to write instead.

use coxswain::manifest::{self, Topic};

use super::{check, head, sentence, table};

#[test]
fn other_tools_page_is_up_to_date() {
    let about = "Where a key of Docker Compose or Kubernetes is written in a [manifest](manifest.md), or why it is not. A manifest \
                 that uses one of them is rejected with the same text, and so is a Compose file or a Kubernetes object as a whole: \
                 nothing is half applied. Keys with the same name and meaning are not listed.";
    let mut out = head("Keys of Docker Compose and Kubernetes", about);
    for kind in manifest::kinds().into_iter().filter(|kind| kind.path == "service") {
        section(&kind, &mut out);
    }
    out += "\n## Kinds of Kubernetes\n\n";
    let rows = manifest::FOREIGN_KINDS.iter().map(|(kind, say)| vec![format!("`{kind}`"), sentence(say)]);
    out += &table(&["kind", "instead"], rows);
    check("other-tools.md", &out);
}

fn section(topic: &Topic, out: &mut String) {
    let Some(shape) = topic.shape() else { return };
    let mut rows: Vec<Vec<String>> =
        shape.foreign_keys().map(|key| vec![format!("`{}`", key.word), sentence(&key.message())]).collect();
    rows.sort();
    if !rows.is_empty() {
        *out += &format!("\n## In `{}`\n\n", topic.path);
        *out += &table(&["key", "instead"], rows);
    }
    topic.fields().iter().for_each(|field| section(field, out));
}
