//! Builds a tree from parser events within the limits: every list, map, scalar and alias is counted before it is kept. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

use super::limits::LIMITS;
use super::source::Span;
use super::split::Chunk;
use super::tree::{Cost, MapEntry, Node, YamlValue};
use crate::model::Problem;

/// The tree of a chunk, empty if the chunk could not be read to its end, and its problems.
pub(super) struct Tree {
    pub(super) roots: Vec<Rc<Node>>,
    pub(super) problems: Vec<(Span, Problem)>,
}

/// Reads a chunk; `shift` is the number of bytes before the text that its offsets count in.
pub(super) fn read(chunk: &Chunk<'_>, shift: usize) -> Tree {
    let options = granit_parser::options! {
        emit_comments: false,
        block_nesting_limit: LIMITS.depth,
        flow_nesting_limit: LIMITS.depth,
    };
    let mut builder = TreeBuilder::new(chunk, shift);
    for event in Parser::new_from_str_with_options(chunk.text, options) {
        let step = match event {
            Ok((event, span)) => {
                let span = builder.span(span.start, span.end);
                builder.take(event, span)
            }
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(fatal) = step {
            builder.problems.push(fatal);
            return Tree { roots: Vec::new(), problems: builder.problems };
        }
        if builder.problems.len() >= LIMITS.findings {
            break;
        }
    }
    Tree { roots: builder.roots, problems: builder.problems }
}

type Fatal = (Span, Problem);

/// A list or map whose end has not been read.
struct OpenCollection {
    span: Span,
    anchor: usize,
    flow: bool,
    cost: Cost,
    inside: CollectionContent,
}

enum CollectionContent {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<MapEntry>, seen: BTreeSet<String>, key: Option<PendingKey> },
}

/// A key that waits for its value.
enum PendingKey {
    Keep(String, Span),
    /// Already reported; its value is read and left out.
    Skip,
}

struct TreeBuilder<'c> {
    chunk: &'c Chunk<'c>,
    shift: usize,
    open: Vec<OpenCollection>,
    /// Finished nodes that have an anchor. One that is still open is not here: an alias to it would be endless.
    anchors: BTreeMap<usize, Rc<Node>>,
    spent: Cost,
    roots: Vec<Rc<Node>>,
    problems: Vec<(Span, Problem)>,
}

impl<'c> TreeBuilder<'c> {
    fn new(chunk: &'c Chunk<'c>, shift: usize) -> Self {
        Self {
            chunk,
            shift,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            spent: Cost::default(),
            roots: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A stretch of the chunk as one of its source, cut at the end of its first line.
    fn span(&self, start: Marker, end: Marker) -> Span {
        let from = start.byte_offset().unwrap_or(0);
        let text = self.chunk.text.get(from..end.byte_offset().unwrap_or(from)).unwrap_or("");
        Span {
            offset: self.shift + self.chunk.offset + from,
            len: text.lines().next().unwrap_or("").trim_end().len(),
            line: self.chunk.line + start.line().saturating_sub(1),
            column: start.col() + 1,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = self.check_tag(tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && !text_tag;
                let cost = Cost { nodes: 1, bytes: text.len(), depth: 0 };
                self.pay(cost, span)?;
                let node = Node { span, value: YamlValue::Scalar { text: text.into_owned(), plain }, cost };
                self.attach(anchor, Rc::new(node));
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.begin(CollectionContent::List(Vec::new()), style, anchor, span)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                let inside = CollectionContent::Map { entries: Vec::new(), seen: BTreeSet::new(), key: None };
                self.begin(inside, style, anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, span)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        inside: CollectionContent,
        style: StructureStyle,
        anchor: usize,
        span: Span,
    ) -> Result<(), Fatal> {
        let cost = Cost { nodes: 1, bytes: 0, depth: 1 };
        self.pay(cost, span)?;
        self.open.push(OpenCollection { span, anchor, flow: style == StructureStyle::Flow, cost, inside });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let (value, first) = match open.inside {
            CollectionContent::List(items) => {
                let first = items.first().map(|i| i.span);
                (YamlValue::List(items), first)
            }
            CollectionContent::Map { entries, .. } => {
                let first = entries.first().map(|e| e.key_span);
                (YamlValue::Map(entries), first)
            }
        };
        // A block begins where its first entry does; its own event may point at the line before.
        let span = if open.flow { open.span } else { first.unwrap_or(open.span) };
        self.attach(open.anchor, Rc::new(Node { span, value, cost: open.cost }));
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Fatal> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err((span, Problem::new("", "the alias is inside its own anchor")));
        };
        self.pay(node.cost, span)?;
        self.attach(0, node);
        Ok(())
    }

    /// Charges the cost of a node to the budget of the document.
    fn pay(&mut self, cost: Cost, span: Span) -> Result<(), Fatal> {
        self.spent.nodes = self.spent.nodes.saturating_add(cost.nodes);
        self.spent.bytes = self.spent.bytes.saturating_add(cost.bytes);
        let refuse = |message: String| Err((span, Problem::new("", message)));
        if self.open.len() + cost.depth > LIMITS.depth {
            refuse(too_deep())
        } else if self.spent.nodes > LIMITS.nodes {
            refuse(format!("the document has more than {} values with aliases expanded", LIMITS.nodes))
        } else if self.spent.bytes > LIMITS.document {
            refuse(format!("the document has more than {} MiB with aliases expanded", LIMITS.document >> 20))
        } else {
            Ok(())
        }
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, anchor: usize, node: Rc<Node>) {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        let Some((open, above)) = self.open.split_last_mut() else {
            self.roots.push(node);
            return;
        };
        open.cost.nodes += node.cost.nodes;
        open.cost.bytes += node.cost.bytes;
        open.cost.depth = open.cost.depth.max(node.cost.depth + 1);
        match &mut open.inside {
            CollectionContent::List(items) => items.push(node),
            CollectionContent::Map { entries, seen, key } => match key.take() {
                None => *key = Some(read_key(&node, entries, seen, above, &mut self.problems)),
                Some(PendingKey::Keep(key, key_span)) => {
                    entries.push(MapEntry { key, key_span, value: node })
                }
                Some(PendingKey::Skip) => {}
            },
        }
    }

    /// Whether the tag makes a scalar text; any other tag than `!!str` is a problem.
    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        let is_text = tag.is_yaml_core_schema_tag("str");
        if !is_text {
            let message = format!("unsupported tag `{}`; only `!!str` is allowed", tag.original());
            self.problems.push((span, Problem::new("", message)));
        }
        is_text
    }

    fn syntax(&self, error: &ScanError) -> Fatal {
        let span = self.span(*error.marker(), *error.marker());
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            ErrorKind::UnknownAnchor => "unknown anchor".to_owned(),
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInPlainScalar => "YAML does not allow a tab here; indent with spaces".to_owned(),
            _ => format!("invalid YAML: {}", error.info()),
        };
        (span, Problem::new("", message))
    }
}

/// Path of the value that is being read within these.
fn path_of(open: &[OpenCollection]) -> String {
    let mut path = String::new();
    for open in open {
        match &open.inside {
            CollectionContent::List(items) => path += &format!("[{}]", items.len()),
            CollectionContent::Map { key: Some(PendingKey::Keep(key, _)), .. } if path.is_empty() => {
                path += key
            }
            CollectionContent::Map { key: Some(PendingKey::Keep(key, _)), .. } => path += &format!(".{key}"),
            CollectionContent::Map { .. } => {}
        }
    }
    path
}

fn too_deep() -> String {
    format!("lists and maps are nested more than {} levels deep", LIMITS.depth)
}

fn read_key(
    node: &Node,
    entries: &[MapEntry],
    seen: &mut BTreeSet<String>,
    above: &[OpenCollection],
    problems: &mut Vec<(Span, Problem)>,
) -> PendingKey {
    let mut refuse = |message: String| {
        problems.push((node.span, Problem::new(path_of(above), message)));
        PendingKey::Skip
    };
    let YamlValue::Scalar { text, plain } = &node.value else {
        return refuse(format!("expected text as the key, found {}", node.kind()));
    };
    if text == "<<" && *plain {
        return refuse("merge keys (`<<`) are not supported; write the keys out".to_owned());
    }
    if !seen.insert(text.clone()) {
        let first = entries.iter().find(|e| e.key == *text).map_or(0, |e| e.key_span.line);
        return refuse(format!("duplicate key `{text}`, first in line {first}"));
    }
    PendingKey::Keep(text.clone(), node.span)
}
