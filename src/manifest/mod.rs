//! YAML text to `model`. Pure.
//!
//! Purpose: [`parse`] takes the texts of one run and returns its objects, or all problems at once, each with file, line,
//! column and what to write instead.
//! Invariants: every scalar is text as it was written (`3.10` stays `3.10`, `no` stays `no`) until its field decides what it
//! means; no key is ignored; hostile text is refused before it is expensive ([`LIMITS`]); nothing panics, whatever the bytes.
//! Deliberately absent: files and directories (the caller reads them), rendering of findings, writing YAML, resolving
//! images, and anything that depends on what already runs.
//!
//! A text passes `decode` (UTF-8 or not) → `split` (documents) → `events` (a tree with positions, within the limits) →
//! `document` (envelope and kind) → a file per kind in `kinds/` and per block of a spec, through `reader` and `values` (typed
//! access that continues after a problem) → the model's own check → `conflicts` between documents.

mod collections;
mod conflicts;
mod container;
mod decode;
mod disguise;
mod document;
mod env;
mod events;
mod field_path;
mod finding;
mod foreign;
mod foreign_kinds;
mod health;
mod kinds;
mod limits;
mod listen;
mod options;
mod policy;
mod port_text;
mod ports;
mod quotes;
mod reader;
mod reference;
mod route_filters;
mod routes;
mod scalars;
mod schema;
mod shape;
mod source;
mod split;
mod surroundings;
mod syntax;
mod tls;
mod tree;
mod values;
mod volumes;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;

pub use document::Document;
pub use finding::{Finding, SourcePlace};
pub use foreign_kinds::FOREIGN_KINDS;
pub use limits::{LIMITS, ManifestLimits};
pub use reference::{Topic, Unexplained, explain, kinds};
pub use schema::schema;
pub use shape::{
    API_VERSION, DefaultValue, EnumValues, ForeignAnswer, ForeignKey, KeyRule, SchemaKey, SchemaNode,
    ValueType,
};
pub use source::{ManifestSource, Span, is_manifest};

use crate::model::Problem;
use finding::Findings;
use split::Chunk;

/// The documents of all sources, in their order; empty where the sources hold nothing but comments.
///
/// # Errors
/// All problems, in the order of the text. Then none of the documents may be used.
pub fn parse(sources: &[ManifestSource]) -> Result<Vec<Document>, Vec<Finding>> {
    let mut findings = Findings::of(sources);
    let mut documents = Vec::new();
    if decode::check_run_size(sources, &mut findings) {
        read_sources(sources, &mut findings, &mut documents);
        conflicts::check(&documents, &mut findings);
    }
    match findings.into_sorted() {
        None => Ok(documents),
        Some(findings) => Err(findings),
    }
}

fn read_sources(sources: &[ManifestSource], findings: &mut Findings<'_>, documents: &mut Vec<Document>) {
    let mut chunks = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let Some((text, shift)) = decode::decode(source, index, findings) else { continue };
        chunks.extend(split::split(text).into_iter().map(|chunk| (index, shift, chunk)));
    }
    if let Some((index, shift, chunk)) = chunks.get(LIMITS.documents) {
        return findings.add(*index, start_of(chunk, *shift), document::too_many());
    }
    for (index, shift, chunk) in &chunks {
        if findings.full() {
            return;
        }
        read_chunk(chunk, *shift, *index, findings, documents);
    }
}

fn read_chunk(
    chunk: &Chunk<'_>,
    shift: usize,
    source: usize,
    findings: &mut Findings<'_>,
    documents: &mut Vec<Document>,
) {
    if chunk.text.len() > LIMITS.document {
        let bytes = chunk.text.len();
        let message =
            format!("the document has {bytes} bytes; at most {} MiB are allowed", LIMITS.document >> 20);
        return findings.add(source, start_of(chunk, shift), Problem::new("", message));
    }
    let tree = events::read(chunk, shift);
    for (span, problem) in tree.problems {
        findings.add(source, span, problem);
    }
    let first = documents.len();
    for root in &tree.roots {
        document::read(root, source, findings, documents);
    }
    if let Some(document) = documents.get_mut(first) {
        document.notes.extend(tree.notes);
    }
}

fn start_of(chunk: &Chunk<'_>, shift: usize) -> Span {
    Span { offset: shift + chunk.offset, len: 0, line: chunk.line, column: 1 }
}
