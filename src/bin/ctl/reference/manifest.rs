//! `docs/reference/manifest.md`: all fields of a manifest, a section per block.

use coxswain::manifest::{self, DefaultValue, EnumValues, Topic, ValueType};

use super::{check, head, table};

#[test]
fn manifest_page_is_up_to_date() {
    let about = "All keys of a manifest. `ctl explain PATH` prints the same text, `ctl schema` a JSON Schema for \
                 editors. Unknown and duplicate keys are rejected. An editor with the schema shows what is wrong with a value or with the keys of a block; what joins several blocks, such as a route that names a port, only `ctl validate` shows. An example with all fields: [manifests/reference.yaml](../../manifests/reference.yaml).\n\nA duration is \
                 written `500ms`, `10s`, `1m30s`, `2h` or `14d`; a CPU quantity `500m`, `0.5` or `2`; a memory \
                 quantity `256Mi`, `1Gi` or `512M`; a percentage `25%`.";
    let mut out = head("The manifest", about);
    for kind in manifest::kinds() {
        section(&kind, &mut out);
    }
    check("manifest.md", &out);
}

fn section(topic: &Topic, out: &mut String) {
    let Some(shape) = topic.shape() else { return };
    let fields = topic.fields();
    *out += &format!("\n## `{}`\n\n{}\n\n", topic.path, topic.key.text);
    *out += &table(&["key", "meaning", "value", "if omitted", "example", "since"], fields.iter().map(row));
    for field in &fields {
        if let ValueType::EnumValues(words) = &field.key.form {
            *out += &values(field.key.name, words);
        }
    }
    if !shape.later.is_empty() {
        let later: Vec<String> = shape.later.iter().map(|name| format!("`{name}`")).collect();
        *out += &format!("\nNot supported yet and rejected: {}.\n", later.join(", "));
    }
    // The items of a list have one section.
    for field in fields.iter().filter(|field| !field.path.ends_with(".items")) {
        section(field, out);
    }
}

fn values(name: &str, EnumValues { words, later }: &EnumValues) -> String {
    let mut out = format!("\nValues of `{name}`:\n\n");
    words.iter().for_each(|(word, meaning)| out += &format!("- `{word}`: {meaning}\n"));
    if !later.is_empty() {
        let later: Vec<String> = later.iter().map(|word| format!("`{word}`")).collect();
        out += &format!("- not supported yet: {}\n", later.join(", "));
    }
    out
}

fn row(field: &Topic) -> Vec<String> {
    let key = field.key;
    let name = match field.shape() {
        Some(_) if key.name != "items" => format!("[`{}`](#{})", key.name, anchor(&field.path)),
        _ => format!("`{}`", key.name),
    };
    let absent = match key.absent {
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Default(value) => format!("`{value}`"),
        DefaultValue::Means(words) => words.to_owned(),
    };
    let example = format!("`{}: {}`", key.name, key.example);
    vec![name, key.text.to_owned(), key.form.words(), absent, example, key.since.to_owned()]
}

/// How a heading is linked to.
fn anchor(path: &str) -> String {
    path.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
