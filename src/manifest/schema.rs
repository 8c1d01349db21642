//! The JSON Schema (draft-07) of manifests, for editors, from the same table that the reader uses.
//!
//! Invariants: the schema accepts whatever the reader accepts; it refuses whatever the reader refuses because of one value or
//! the keys of one block. Only the reader checks rules that join several blocks.

use serde_json::{Map, Value, json};

use super::shape::{DOCUMENT, DefaultValue, KeyRule, LIST, SchemaKey, SchemaNode, TEXT, ValueType};
use crate::model::SIGNALS;

/// The schema of a manifest.
pub fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Coxswain manifest",
        "if": {"properties": {"kind": {"const": "List"}}, "required": ["kind"]},
        "then": block(&LIST),
        "else": {"$ref": SERVICE},
        "definitions": {"service": block(&DOCUMENT)},
    })
}

/// The definition that documents of a list refer to.
const SERVICE: &str = "#/definitions/service";

fn block(shape: &SchemaNode) -> Value {
    let mut properties: Map<String, Value> =
        shape.keys.iter().map(|key| (key.name.to_owned(), described(key))).collect();
    let system = || json!({"description": "Written by Coxswain; ignored by apply."});
    properties.extend(shape.ignored.iter().map(|name| ((*name).to_owned(), system())));
    for name in shape.later {
        properties.insert((*name).to_owned(), refused(&format!("`{name}` is not supported yet.")));
    }
    for foreign in shape.foreign_keys() {
        properties.insert(foreign.word.to_owned(), refused(&foreign.message()));
    }
    let required: Vec<&str> =
        shape.keys.iter().filter(|key| key.absent == DefaultValue::Required).map(|key| key.name).collect();
    let mut value = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        value["required"] = json!(required);
    }
    let rules: Vec<Value> = shape.rules.iter().map(rule).collect();
    if !rules.is_empty() {
        value["allOf"] = json!(rules);
    }
    value
}

/// A known key that is refused: editors show why and do not offer it.
fn refused(say: &str) -> Value {
    json!({"not": {}, "description": say, "doNotSuggest": true})
}

fn rule(rule: &KeyRule) -> Value {
    match rule {
        KeyRule::Exactly(names) => {
            json!({"oneOf": names.iter().map(|name| json!({"required": [name]})).collect::<Vec<_>>()})
        }
        KeyRule::Needs(key, needed) => json!({"dependencies": {*key: [needed]}}),
        KeyRule::Any(names) => {
            json!({"anyOf": names.iter().map(|name| json!({"required": [name]})).collect::<Vec<_>>()})
        }
        KeyRule::One(names) => {
            let pairs = names.iter().enumerate().flat_map(|(i, a)| names[..i].iter().map(move |b| [a, b]));
            json!({"not": {"anyOf": pairs.map(|pair| json!({"required": pair})).collect::<Vec<_>>()}})
        }
    }
}

fn described(key: &SchemaKey) -> Value {
    let mut value = form(&key.form);
    let default = match key.absent {
        DefaultValue::Required => None,
        DefaultValue::Default(value) => Some(format!("Default: `{value}`.")),
        DefaultValue::Means(words) => Some(format!("Default: {words}.")),
    };
    let text: Vec<&str> = [key.text].into_iter().chain(default.as_deref()).collect();
    // draft-07 ignores every key next to `$ref`; no key's form is a `$ref`.
    value["description"] = json!(text.join(" "));
    value
}

/// The editor's YAML parser types scalars before the schema sees them; our reader takes them as text.
const SCALAR: [&str; 3] = ["string", "number", "boolean"];

fn form(form: &ValueType) -> Value {
    match form {
        ValueType::Text(None) => json!({"type": SCALAR}),
        ValueType::Text(Some(pattern)) => json!({"type": SCALAR, "pattern": pattern}),
        ValueType::Path(pattern) => json!({"type": "string", "pattern": pattern}),
        ValueType::EnumValues(words) => {
            json!({"enum": words.words.iter().map(|(word, _)| *word).collect::<Vec<_>>()})
        }
        ValueType::Signal => json!({"type": "string", "pattern": format!("^(SIG)?({})$", SIGNALS.join("|"))}),
        ValueType::Number(least, u32::MAX) => json!({"type": "integer", "minimum": least}),
        ValueType::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        ValueType::Flag => json!({"type": "boolean"}),
        ValueType::True => json!({"const": true}),
        ValueType::Duration => json!({"type": "string", "pattern": DURATION}),
        ValueType::Span => json!({"type": "string", "pattern": format!("{MORE_THAN_ZERO}{DURATION}")}),
        ValueType::Cpu => json!({
            "type": ["string", "number"], "exclusiveMinimum": 0,
            "pattern": format!("{MORE_THAN_ZERO}^([0-9]+m|[0-9]+(\\.[0-9]{{1,3}})?)$"),
        }),
        ValueType::Memory => memory(""),
        ValueType::LogSize => memory("|m|g"),
        ValueType::Count => json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^[0-9]+%?$"}),
        ValueType::List(of, most) => bounded(json!({"type": "array", "items": item(of)}), "maxItems", *most),
        ValueType::Command => command(),
        ValueType::Map(names, of, most) => {
            let mut value = json!({"type": "object", "additionalProperties": self::form(of)});
            if !names.is_empty() {
                value["propertyNames"] = json!({"pattern": names});
            }
            bounded(value, "maxProperties", *most)
        }
        ValueType::Block(shape) => block(shape),
        ValueType::Either(forms) => json!({"anyOf": forms.iter().map(self::form).collect::<Vec<_>>()}),
    }
}

/// A command without the words of Docker and of a shell that the reader refuses.
fn command() -> Value {
    json!({
        "type": "array", "items": form(&TEXT), "minItems": 1,
        "not": {"anyOf": [
            {"items": [{"enum": ["CMD", "CMD-SHELL", "NONE"]}]},
            {"items": [{"type": "string", "pattern": "^\\s*$"}]},
            {"maxItems": 1, "items": {"type": "string", "pattern": "\\S\\s+\\S"}},
            {"contains": {"enum": ["||", "&&"]}, "not": {"items": [{}, {"type": "string", "pattern": "^-[a-z]*c$"}], "minItems": 2}},
        ]},
    })
}

const DURATION: &str = "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const MORE_THAN_ZERO: &str = "(?=^.*[1-9])";

fn memory(more_units: &str) -> Value {
    let pattern = format!("{MORE_THAN_ZERO}^[0-9]+(Ti|T|Gi|G|Mi|M|Ki|k{more_units})?$");
    json!({"type": ["string", "integer"], "minimum": 1, "pattern": pattern})
}

fn bounded(mut value: Value, word: &str, most: Option<usize>) -> Value {
    if let Some(most) = most {
        value[word] = json!(most);
    }
    value
}

/// The items of a list: documents share one definition.
fn item(of: &ValueType) -> Value {
    match of {
        ValueType::Block(shape) if std::ptr::eq(*shape, &DOCUMENT) => json!({"$ref": SERVICE}),
        of => form(of),
    }
}
