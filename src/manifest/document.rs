//! One document: its envelope, its object, and the place of each field. Pure.

use std::collections::BTreeMap;

use super::field_path::{Spans, find_span};
use super::finding::{Finding, Findings, SourcePlace};
use super::foreign::{DocumentKind, recognise};
use super::limits::LIMITS;
use super::reader::{Block, ManifestReader, YamlField};
use super::source::Span;
use super::tree::{Node, YamlValue};
use super::{kinds, shape};
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
    /// Defaults that the user should know of, a line each.
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

    /// The place of a field by its path in the long form; of the nearest one above it if it was not written.
    pub fn find(&self, path: &str) -> SourcePlace {
        let span = find_span(&self.spans, path).unwrap_or(self.place.span);
        SourcePlace { span, ..self.place.clone() }
    }

    /// A problem that was found later, such as by the daemon, with its place in this document.
    pub fn finding(&self, problem: &Problem) -> Finding {
        Finding::new(self.find(&problem.path), problem.clone())
    }
}

/// Reads the root of a document into `out`, as far as it can be read; problems are in `findings`.
pub(super) fn read(root: &Node, source: usize, findings: &mut Findings<'_>, out: &mut Vec<Document>) {
    if !matches!(root.value, YamlValue::Map(_)) {
        let message = format!("expected a manifest, found {}", root.kind());
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
    let Some(items) = block.require(&mut reader, "items", "items: []") else { return };
    let Some(items) = reader.list(&items, "items: []") else { return };
    for item in items {
        if item.node.get("kind").and_then(Node::text) == Some("List") {
            findings.add(source, item.span, Problem::new(item.path, "a List cannot contain another List"));
        } else if out.len() >= LIMITS.documents {
            return findings.add(source, item.span, too_many());
        } else {
            read(item.node, source, findings, out);
        }
    }
}

/// A run has too many documents.
pub(super) fn too_many() -> Problem {
    Problem::new("", format!("more than {} documents; apply fewer at a time", LIMITS.documents))
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
    let identity = read_metadata(&mut reader, &block);
    let spec = block
        .require(&mut reader, "spec", "spec:")
        .and_then(|field| kinds::read_spec(kind, &mut reader, &field));
    let found = spec.as_ref().map(ObjectSpec::problems).unwrap_or_default();
    // Decided before any of them is reported: they do not follow from one another.
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

type DocumentIdentity = (String, AppName, BTreeMap<String, String>);

fn read_metadata(reader: &mut ManifestReader<'_, '_>, document: &Block<'_>) -> Option<DocumentIdentity> {
    let field = document.require(reader, "metadata", "metadata: {name: hello}")?;
    let metadata = reader.block(&field, &shape::METADATA)?;
    let name = metadata.require(reader, "name", "name: hello");
    let app = match metadata.get(reader, "app") {
        Some(field) => read_name(reader, &field, AppName::parse),
        None => Some(AppName::default()),
    };
    let annotations = match metadata.get(reader, "annotations") {
        Some(field) => reader.entries(&field, ManifestReader::text_or_quotes),
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
