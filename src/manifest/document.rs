//! One document: its envelope, its object, and the place of each field. Pure.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings, SourcePlace};
use super::foreign::{DocumentKind, recognise};
use super::limits::LIMITS;
use super::reader::{Block, ManifestReader, Spans, YamlField, find_span};
use super::source::Span;
use super::tree::{Node, YamlValue};
use super::{env, kinds, shape};
use crate::model::{AppName, NameError, ObjectKind, ObjectRef, ObjectSpec, Problem, ServiceName};

/// An object as a source declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Unique within the kind.
    pub name: String,
    /// `default` where the manifest has none.
    pub app: AppName,
    pub annotations: BTreeMap<String, String>,
    /// The kind and the spec, defaults filled in.
    pub spec: ObjectSpec,
    /// What the user should know of what was filled in, a line each.
    pub notes: Vec<String>,
    /// Its first character.
    pub place: SourcePlace,
    spans: Spans,
}

impl Document {
    /// The address of the object.
    pub fn object(&self) -> ObjectRef {
        ObjectRef { kind: self.spec.kind(), name: self.name.clone() }
    }

    /// File and line, for messages: `app.yaml:12`.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.place.file, self.place.span.line)
    }

    /// The place of a field, by its path in the long form; where it was not written, of the nearest one above it.
    pub fn find(&self, path: &str) -> SourcePlace {
        let span = find_span(&self.spans, path).unwrap_or(self.place.span);
        SourcePlace { span, ..self.place.clone() }
    }

    /// A problem of this document that was found later, such as by the server, with its place.
    pub fn finding(&self, problem: &Problem) -> Finding {
        Finding::new(self.find(&problem.path), problem.clone())
    }
}

/// Reads the root of a document into `out`, as far as it can be read; what cannot is in `findings`.
pub(super) fn read(root: &Node, source: usize, findings: &mut Findings<'_>, out: &mut Vec<Document>) {
    if !matches!(root.value, YamlValue::Map(_)) {
        let message = format!("a manifest is a map; this is {}", root.kind());
        return findings.add(source, root.span, Problem::new("", message).suggest("apiVersion: coxswain/v1"));
    }
    match recognise(root) {
        DocumentKind::Object(kind, problems) => {
            out.extend(read_object(kind, root, source, findings, problems));
        }
        DocumentKind::List => read_list(root, source, findings, out),
        DocumentKind::Other(problem) => findings.add(source, key_span(root, &problem.path), problem),
    }
}

fn read_list(root: &Node, source: usize, findings: &mut Findings<'_>, out: &mut Vec<Document>) {
    let mut reader = ManifestReader::new(source, findings);
    let field = YamlField { node: root, path: String::new(), span: root.span };
    let Some(block) = reader.block(&field, &shape::LIST) else { return };
    let Some(items) = block.get(&mut reader, "items") else {
        return reader.report(root.span, Problem::new("items", "a list has `items`"));
    };
    let Some(items) = reader.items(&items) else { return reader.wrong(&items, "`items` is a list") };
    for item in items {
        if item.node.get("kind").and_then(Node::text) == Some("List") {
            findings.add(
                source,
                item.span,
                Problem::new(item.path, "a list within a list cannot be applied"),
            );
        } else if out.len() >= LIMITS.documents {
            return findings.add(source, item.span, too_many());
        } else {
            read(item.node, source, findings, out);
        }
    }
}

/// A run has more documents than it may.
pub(super) fn too_many() -> Problem {
    Problem::new("", format!("the run has more than the {} documents allowed", LIMITS.documents))
}

fn read_object(
    kind: ObjectKind,
    root: &Node,
    source: usize,
    findings: &mut Findings<'_>,
    problems: Vec<Problem>,
) -> Option<Document> {
    let place = findings.place(source, root.span);
    let before = findings.len();
    let mut reader = ManifestReader::new(source, findings);
    for problem in problems {
        reader.report(key_span(root, &problem.path), problem);
    }
    let block = reader.block(
        &YamlField { node: root, path: String::new(), span: root.span },
        kinds::document_shape(kind),
    )?;
    let identity = read_metadata(&mut reader, root, &block);
    let spec = read_spec(kind, &mut reader, root, &block);
    let found = spec.as_ref().map(ObjectSpec::problems).unwrap_or_default();
    let own: Vec<Problem> = found.into_iter().filter(|problem| !follows(kind, &reader, problem)).collect();
    for problem in own {
        let span = find_span(&reader.spans, &problem.path).unwrap_or(root.span);
        reader.report(span, problem);
    }
    let (name, app, annotations) = identity?;
    let spec = spec?;
    let spans = std::mem::take(&mut reader.spans);
    let sound = findings.len() == before;
    let notes = if sound { kinds::notes(&block, &spec) } else { Vec::new() };
    Some(Document { name, app, annotations, spec, notes, place, spans })
}

fn read_spec(
    kind: ObjectKind,
    reader: &mut ManifestReader<'_, '_>,
    root: &Node,
    block: &Block<'_>,
) -> Option<ObjectSpec> {
    match block.get(reader, "spec") {
        Some(field) => kinds::read_spec(kind, reader, &field),
        None => {
            if !reader.is_spoiled("spec") {
                reader.report(
                    root.span,
                    Problem::new("spec", format!("a {} needs a spec", kind.word())).suggest("spec:"),
                );
            }
            None
        }
    }
}

type DocumentIdentity = (String, AppName, BTreeMap<String, String>);

fn read_metadata(
    reader: &mut ManifestReader<'_, '_>,
    root: &Node,
    block: &Block<'_>,
) -> Option<DocumentIdentity> {
    let Some(field) = block.get(reader, "metadata") else {
        if !reader.is_spoiled("metadata") {
            let problem = Problem::new("metadata", "a service needs a name");
            reader.report(root.span, problem.suggest("metadata: {name: hello}"));
        }
        return None;
    };
    let metadata = reader.block(&field, &shape::METADATA)?;
    let name = metadata.get(reader, "name");
    if name.is_none() && !reader.is_spoiled("metadata.name") {
        reader.wrong_but(&field, "a service needs a name", "name: hello");
    }
    let app = match metadata.get(reader, "app") {
        Some(field) => read_name(reader, &field, AppName::parse),
        None => Some(AppName::default()),
    };
    let annotations = match metadata.get(reader, "annotations") {
        Some(field) => reader.entries(&field, env::read_text),
        None => BTreeMap::new(),
    };
    let name = name.and_then(|field| read_name(reader, &field, ServiceName::parse))?;
    // A bad app has been reported; the name still takes part in the search for conflicts.
    Some((name.to_string(), app.unwrap_or_default(), annotations))
}

fn read_name<T>(
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Option<T> {
    let text = reader.text(field)?;
    match parse(&text) {
        Ok(name) => Some(name),
        Err(error) => {
            let guess = text.trim().to_ascii_lowercase().replace(['_', '.', ' '], "-");
            match parse(&guess) {
                Ok(_) => reader.wrong_but(field, error.to_string(), guess),
                Err(_) => reader.wrong(field, error.to_string()),
            }
            None
        }
    }
}

/// Whether a problem of the whole spec only follows from one that has been reported of a part.
fn follows(kind: ObjectKind, reader: &ManifestReader<'_, '_>, problem: &Problem) -> bool {
    reader.is_spoiled(&problem.path) || kinds::follows(kind, reader, problem)
}

/// The place of a key of a map, or of the map.
fn key_span(root: &Node, key: &str) -> Span {
    match &root.value {
        YamlValue::Map(entries) => entries.iter().find(|e| e.key == key).map_or(root.span, |e| e.key_span),
        YamlValue::Scalar { .. } | YamlValue::List(_) => root.span,
    }
}
