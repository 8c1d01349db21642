//! Builds a tree from parser events within the limits: every list, map, scalar and alias is counted before it is kept. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StructureStyle};

use super::collections::{CollectionContent, OpenCollection, PendingKey, path_of, read_key};
use super::disguise::ScalarRole;
use super::limits::LIMITS;
use super::quotes::{self, Unquoted};
use super::scalars::unused_name;
use super::source::Span;
use super::split::Chunk;
use super::syntax::{line_at, too_deep};
use super::tree::{Cost, MapEntry, Node, YamlValue};
use crate::model::Problem;

/// The tree of a chunk, empty if the chunk could not be read to its end, and its problems.
pub(super) struct Tree {
    pub(super) roots: Vec<Rc<Node>>,
    pub(super) problems: Vec<(Span, Problem)>,
    /// What YAML reads otherwise than it looks, a line each.
    pub(super) notes: Vec<String>,
}

/// Most notes on a document: one that has more is not written by hand.
pub(super) const NOTES_MAX: usize = 20;

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
                let from = span.start.byte_offset().unwrap_or(0);
                builder.at = from..span.end.byte_offset().unwrap_or(from).max(from);
                let span = builder.span(span.start, span.end);
                builder.take(event, span)
            }
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(fatal) = step {
            builder.problems.push(fatal);
            return Tree { roots: Vec::new(), problems: builder.problems, notes: Vec::new() };
        }
        if builder.problems.len() >= LIMITS.findings {
            break;
        }
    }
    let mut notes = builder.notes;
    notes.extend(builder.unnamed.into_values());
    notes.truncate(NOTES_MAX);
    Tree { roots: builder.roots, problems: builder.problems, notes }
}

/// A problem after which a chunk cannot be read on.
pub(super) type Fatal = (Span, Problem);

/// Builds the tree of a chunk.
pub(super) struct TreeBuilder<'c> {
    pub(super) chunk: &'c Chunk<'c>,
    pub(super) shift: usize,
    pub(super) open: Vec<OpenCollection>,
    /// Finished nodes that have an anchor. One that is still open is not here: an alias to it would be endless.
    pub(super) anchors: BTreeMap<usize, Rc<Node>>,
    pub(super) spent: Cost,
    pub(super) roots: Vec<Rc<Node>>,
    pub(super) problems: Vec<(Span, Problem)>,
    pub(super) notes: Vec<String>,
    /// Notes on anchors of texts that no alias has named yet.
    pub(super) unnamed: BTreeMap<usize, String>,
    /// Bytes of the chunk that the event is.
    pub(super) at: Range<usize>,
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
            notes: Vec::new(),
            unnamed: BTreeMap::new(),
            at: 0..0,
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
                let cost = Cost { nodes: 1, bytes: text.len(), depth: 0 };
                self.pay(cost, span)?;
                let sound = self.check_scalar(&text, style, span);
                if style == ScalarStyle::Plain && anchor != 0 && !text.is_empty() {
                    let note = self.place(&text, ScalarRole::Plain, unused_name);
                    self.unnamed.extend(note.map(|note| (anchor, format!("line {}: {note}", span.line))));
                }
                // What has been reported is not missing as well.
                let is_reported = !sound || (tag.is_some() && text.is_empty());
                let plain = style == ScalarStyle::Plain && !text_tag && !is_reported;
                let value = YamlValue::Scalar { text: text.into_owned(), plain };
                self.attach(anchor, Rc::new(Node { span, value, written: None, cost }));
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
        let flow = style == StructureStyle::Flow;
        let from = self.at.start;
        self.open.push(OpenCollection { span, from, anchor, flow, cost, inside, meant: None });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        if let Some(text) = open.meant {
            let value = YamlValue::Scalar { text, plain: false };
            return self.attach(
                open.anchor,
                Rc::new(Node { span: open.span, value, written: None, cost: open.cost }),
            );
        }
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
        let written = if open.flow { self.written_from(open.from) } else { None };
        self.attach(open.anchor, Rc::new(Node { span, value, written, cost: open.cost }));
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Fatal> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err((span, Problem::new("", "the alias is inside its own anchor")));
        };
        self.unnamed.remove(&id);
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
                None => {
                    *key = Some(match read_key(&node, entries, seen) {
                        Ok(key) => key,
                        Err(message) => {
                            let mut problem = Problem::new(path_of(above), message);
                            if let Some(found) = bracket_of_text(self.chunk, self.shift, &node) {
                                problem = Problem { message: found.why, ..problem }.suggest(found.quoted);
                                open.meant = Some(found.text);
                            }
                            self.problems.push((node.span, problem));
                            PendingKey::Skip
                        }
                    });
                }
                Some(PendingKey::Keep(key, key_span)) => {
                    entries.push(MapEntry { key, key_span, value: node })
                }
                Some(PendingKey::Skip) => {}
            },
        }
    }
}

/// A text that begins with two brackets, such as `{{ .Values.image }}`, of which a node is the inner one.
fn bracket_of_text(chunk: &Chunk<'_>, shift: usize, node: &Node) -> Option<Unquoted> {
    let offset = node.span.offset.checked_sub(shift + chunk.offset)?;
    let (_, line) = line_at(chunk.text, offset);
    quotes::find(line).filter(|found| found.text.starts_with('{') && !node.is_text())
}
