//! One document: its envelope, its Service, and where each field of it stands.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings, Place};
use super::foreign::{Kind, recognise};
use super::limits::LIMITS;
use super::reader::{Block, Field, Reader, Spans, covers, find_span};
use super::source::Span;
use super::tree::{Node, Value};
use super::{env, service, shape};
use crate::model::{AppName, NameError, Problem, ServiceName, ServiceSpec, check_service};

/// A Service as a source declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub name: ServiceName,
    /// Its app; `default` where the text does not say.
    pub app: AppName,
    /// Notes of the user.
    pub annotations: BTreeMap<String, String>,
    /// What is wanted, defaults filled in; `replicas` is `None` where the text does not say.
    pub spec: ServiceSpec,
    /// What the user should know of what was filled in, a line each.
    pub notes: Vec<String>,
    /// Where it begins.
    pub place: Place,
    spans: Spans,
}

impl Document {
    /// Where it begins, for messages: `app.yaml:12`.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.place.file, self.place.span.line)
    }

    /// Where a field stands, by its path in the long form; where it was not written, the nearest one above it.
    pub fn find(&self, path: &str) -> Place {
        let span = find_span(&self.spans, path).unwrap_or(self.place.span);
        Place { span, ..self.place.clone() }
    }

    /// A problem of this document that was found later, such as by the server, with its place.
    pub fn finding(&self, problem: &Problem) -> Finding {
        Finding::new(self.find(&problem.path), problem.clone())
    }
}

/// Reads the root of a document into `out`, as far as it can be read; what cannot is in `findings`.
pub(super) fn read(root: &Node, source: usize, findings: &mut Findings<'_>, out: &mut Vec<Document>) {
    if !matches!(root.value, Value::Map(_)) {
        let message = format!("a manifest is a map; this is {}", root.kind());
        return findings.add(source, root.span, Problem::new("", message).suggest("apiVersion: coxswain/v1"));
    }
    match recognise(root) {
        Kind::Service(problems) => out.extend(read_service(root, source, findings, problems)),
        Kind::List => read_list(root, source, findings, out),
        Kind::Other(problem) => findings.add(source, key_span(root, &problem.path), problem),
    }
}

fn read_list(root: &Node, source: usize, findings: &mut Findings<'_>, out: &mut Vec<Document>) {
    let mut reader = Reader::new(source, findings);
    let field = Field { node: root, path: String::new(), span: root.span };
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

fn read_service(
    root: &Node,
    source: usize,
    findings: &mut Findings<'_>,
    problems: Vec<Problem>,
) -> Option<Document> {
    let place = findings.place(source, root.span);
    let before = findings.len();
    let mut reader = Reader::new(source, findings);
    for problem in problems {
        reader.report(key_span(root, &problem.path), problem);
    }
    let block =
        reader.block(&Field { node: root, path: String::new(), span: root.span }, &shape::DOCUMENT)?;
    let identity = read_metadata(&mut reader, root, &block);
    let spec = read_spec(&mut reader, root, &block);
    let found = spec.as_ref().map(check_service).unwrap_or_default();
    let own: Vec<Problem> = found.into_iter().filter(|problem| !follows(&reader, problem)).collect();
    for problem in own {
        let span = find_span(&reader.spans, &problem.path).unwrap_or(root.span);
        reader.report(span, problem);
    }
    let (name, app, annotations) = identity?;
    let spec = spec?;
    let spans = std::mem::take(&mut reader.spans);
    let sound = findings.len() == before;
    let notes = if sound { notes(&block, &spec) } else { Vec::new() };
    Some(Document { name, app, annotations, spec, notes, place, spans })
}

fn read_spec(reader: &mut Reader<'_, '_>, root: &Node, block: &Block<'_>) -> Option<ServiceSpec> {
    match block.get(reader, "spec") {
        Some(field) => service::read(reader, &field),
        None => {
            if !reader.is_spoiled("spec") {
                reader.report(root.span, Problem::new("spec", "a service needs a spec").suggest("spec:"));
            }
            None
        }
    }
}

type Identity = (ServiceName, AppName, BTreeMap<String, String>);

fn read_metadata(reader: &mut Reader<'_, '_>, root: &Node, block: &Block<'_>) -> Option<Identity> {
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
    Some((name, app.unwrap_or_default(), annotations))
}

fn read_name<T>(
    reader: &mut Reader<'_, '_>,
    field: &Field<'_>,
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
fn follows(reader: &Reader<'_, '_>, problem: &Problem) -> bool {
    let about_a_port = covers("spec.route", &problem.path) && problem.path.ends_with(".port")
        || ["spec.health", "spec.health.port"].contains(&problem.path.as_str());
    let ports_unread = reader.is_spoiled("spec.ports") || reader.is_spoiled("spec.port");
    reader.is_spoiled(&problem.path) || (about_a_port && ports_unread)
}

fn notes(block: &Block<'_>, spec: &ServiceSpec) -> Vec<String> {
    match (block.value("spec").and_then(|s| s.get("health")), spec.ports.first()) {
        (None, Some(port)) => {
            vec![format!("no `health` is given: a TCP connect to port {} decides", port.port)]
        }
        _ => Vec::new(),
    }
}

/// Where a key of a map stands, or the map.
fn key_span(root: &Node, key: &str) -> Span {
    match &root.value {
        Value::Map(entries) => entries.iter().find(|e| e.key == key).map_or(root.span, |e| e.key_span),
        Value::Scalar { .. } | Value::List(_) => root.span,
    }
}
