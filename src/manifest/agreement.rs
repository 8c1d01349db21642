//! The table of fields agrees with the reader, and the schema with both.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::reference::{Topic, explain, kinds};
use super::shape::{DefaultValue, KeyRule, SchemaNode, ValueType};
use super::{ManifestSource, Unexplained, parse, schema};
use crate::model::ServiceSpec;

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema()).expect("the schema is one"));

/// Problems that an editor with the schema shows; `None` if its YAML parser fails before.
pub(super) fn complaints(text: &str) -> Option<Vec<String>> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let value: Value = serde_saphyr::from_str_with_options(text, options).ok()?;
    Some(SCHEMA.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

/// A map of this block with this entry and the keys that it requires.
fn around(shape: &SchemaNode, key: &str, value: &str) -> String {
    let mut entries = vec![format!("{key}: {value}")];
    let mut add = |name: &str| {
        let other = shape.key(name).expect("a rule names keys");
        if !entries.iter().any(|entry| entry.starts_with(&format!("{name}: "))) {
            entries.push(format!("{name}: {}", other.example));
        }
    };
    let required =
        shape.keys.iter().filter(|other| other.absent == DefaultValue::Required && other.name != key);
    required.for_each(|other| add(other.name));
    for rule in shape.rules {
        match rule {
            KeyRule::Any(names) => {
                names.iter().find(|name| **name != key).into_iter().for_each(|name| add(name))
            }
            KeyRule::Exactly(names) if !names.contains(&key) => add(names[0]),
            KeyRule::Needs(name, needed) if *name == key => add(needed),
            KeyRule::Exactly(_) | KeyRule::One(_) | KeyRule::Needs(..) => {}
        }
    }
    // Routes and health checks need a port.
    let ports = shape.key("ports").filter(|_| !["port", "ports"].contains(&key));
    entries.extend(ports.map(|ports| format!("ports: {}", ports.example)));
    format!("{{{}}}", entries.join(", "))
}

/// Takes a field and a function that builds a document with a value of it, or with none.
type FieldCheck<'a> = dyn FnMut(&Topic, &dyn Fn(Option<&str>) -> String) + 'a;

/// Calls `check` with every field.
fn each(check: &mut FieldCheck<'_>) {
    fn walk(topic: &Topic, put: &dyn Fn(&str) -> String, check: &mut FieldCheck<'_>) {
        let Some(shape) = topic.shape() else { return };
        for field in topic.fields() {
            let inner = |value: &str| put(&held(&topic.key.form, &around(shape, field.key.name, value)));
            let optional = |value: Option<&str>| match value {
                Some(value) => inner(value),
                None => inner("GONE")
                    .replace(&format!("{}: GONE, ", field.key.name), "")
                    .replace(&format!("{}: GONE", field.key.name), ""),
            };
            check(&field, &optional);
            walk(&field, &inner, check);
        }
    }
    for kind in kinds() {
        walk(&kind, &|value| value.to_owned(), check);
    }
}

/// The long form of a value around one of its blocks.
fn held(form: &ValueType, block: &str) -> String {
    match form {
        ValueType::List(of, _) => format!("[{}]", held(of, block)),
        ValueType::Map(names, of, _) => {
            let name = if names.contains("nofile") { "nofile" } else { "NAME" };
            format!("{{{name}: {}}}", held(of, block))
        }
        ValueType::Either(forms) => {
            held(forms.iter().find(|form| holds_block(form)).expect("one form has the block"), block)
        }
        _ => block.to_owned(),
    }
}

fn holds_block(form: &ValueType) -> bool {
    match form {
        ValueType::Block(_) => true,
        ValueType::List(of, _) | ValueType::Map(_, of, _) => holds_block(of),
        ValueType::Either(forms) => forms.iter().any(holds_block),
        _ => false,
    }
}

fn read(text: &str) -> Vec<ServiceSpec> {
    let documents =
        parse(&[ManifestSource::new("x.yaml", text)]).unwrap_or_else(|found| panic!("{text}\n{found:#?}"));
    assert_eq!(complaints(text), Some(vec![]), "{text}");
    documents.iter().filter_map(|document| document.spec.as_service().cloned()).collect()
}

#[test]
fn reader_and_schema_accept_every_example() {
    let mut seen = Vec::new();
    each(&mut |topic, put| {
        read(&put(Some(topic.key.example)));
        seen.push(topic.path.clone());
    });
    // A walk that skips a form of nesting would compare less than there is.
    for deepest in
        ["service.spec.route[].stripPrefix", "service.spec.env.NAME.field", "list.items[].spec.stop.grace"]
    {
        assert!(seen.iter().any(|path| path == deepest), "{deepest} in {seen:?}");
    }
}

#[test]
fn explicit_default_equals_absent_key() {
    each(&mut |topic, put| {
        if let DefaultValue::Default(value) = topic.key.absent {
            assert_eq!(read(&put(Some(value))), read(&put(None)), "{}", topic.path);
        }
        let without = parse(&[ManifestSource::new("x.yaml", put(None))]);
        let is_one_of_two =
            ["volumes[].name", "volumes[].hostPath"].iter().any(|end| topic.path.ends_with(end));
        let required = topic.key.absent == DefaultValue::Required || is_one_of_two;
        assert_eq!(without.is_err(), required, "{} left out: {without:#?}", topic.path);
        let taken = complaints(&put(None)).is_some_and(|found| found.is_empty());
        assert_eq!(taken, !required, "{} left out, says the schema", topic.path);
    });
}

#[test]
fn reader_and_schema_accept_every_word_and_refuse_those_of_a_later_version() {
    fn of(form: &ValueType) -> Option<&'static super::EnumValues> {
        match form {
            ValueType::EnumValues(words) => Some(words),
            _ => None,
        }
    }
    each(&mut |topic, put| {
        let Some(words) = of(&topic.key.form) else { return };
        words.words.iter().for_each(|(word, _)| drop(read(&put(Some(word)))));
        for later in words.later {
            let text = put(Some(later));
            assert!(parse(&[ManifestSource::new("x.yaml", text.clone())]).is_err(), "{text}");
            assert!(complaints(&text).is_some_and(|found| !found.is_empty()), "{text}");
        }
    });
}

#[test]
fn descriptions_are_sentences_and_every_path_is_explained() {
    each(&mut |topic, _| {
        let text = topic.key.text;
        let sentence = text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c == '`');
        assert!(sentence, "{}: {text}", topic.path);
        assert!(!topic.key.example.contains('\n'), "{}", topic.path);
        let number = topic.key.since.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
        assert_eq!(number, 3, "{}: {}", topic.path, topic.key.since);
        let plain = topic.path.replace("[]", "");
        for path in [&topic.path, &plain, &topic.path.replace("NAME", "LOG_LEVEL").replace("[]", "[0]")] {
            assert_eq!(explain(path).map(|found| found.path).as_ref(), Ok(&topic.path), "{path}");
        }
    });
}

#[test]
fn explain_of_an_unknown_path_suggests_fields() {
    let said = |path: &str| match explain(path) {
        Ok(topic) => topic.path,
        Err(Unexplained::Later { path }) => format!("later {path}"),
        Err(Unexplained::Unknown { at, word, say, meant }) => {
            format!("{at}|{word}|{}|{}", say.as_deref().unwrap_or("-"), meant.join(" "))
        }
    };
    let rows = [
        ("Service", "service"),
        ("services.spec", "service.spec"),
        ("spec.rollout", "service.spec.rollout"),
        ("service.spec.env.LOG_LEVEL", "service.spec.env"),
        ("service.spec.env.LOG_LEVEL.field", "service.spec.env.NAME.field"),
        ("service.spec.rollout.maxsurge", "service.spec.rollout|maxsurge|-|service.spec.rollout.maxSurge"),
        ("service.spec.rollout.stategy", "service.spec.rollout|stategy|-|service.spec.rollout.strategy"),
        ("service.spec.rollout.strategy.x", "service.spec.rollout.strategy|x|-|"),
        ("service.spec.rollout.drain.", "service.spec.rollout.drain||-|"),
        ("service.spec.replica", "service.spec|replica|-|service.spec.replicas"),
        ("maxSurge", "|maxSurge|-|service.spec.rollout.maxSurge"),
        ("timeout", "|timeout|-|service.spec.health.timeout service.spec.route[].timeout"),
        ("servcie.spec", "|servcie|-|service"),
        ("route", "later route"),
        ("service.spec.rollout.abortIf", "later service.spec.rollout.abortIf"),
        ("service.spec.route.retry", "later service.spec.route[].retry"),
        ("service.spec.restart", "service.spec|restart|containers that exit are always restarted|"),
        ("", "||-|"),
        ("zzz", "|zzz|-|"),
    ];
    for (path, want) in rows {
        assert_eq!(said(path), want, "{path}");
    }
    assert!(said("service.spec.args").ends_with("|service.spec.command"));
}
