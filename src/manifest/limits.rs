//! What a run may cost, so that hostile text is refused before it is expensive.

use crate::model;

/// Limits on the text of one run, with their reasons.
pub struct ManifestLimits {
    /// Bytes of one document, as written and again with its aliases expanded: what one store transaction holds.
    pub document: usize,
    /// Documents of a run, items of lists included: as many as the controller takes.
    pub documents: usize,
    /// Bytes of all sources of a run, 16 KiB for each of 1,000 documents: bounds memory and time of the whole.
    pub run: usize,
    /// Lists and maps within one another. A Service needs 4, in a list 6.
    pub depth: usize,
    /// Nodes (keys, values, lists, maps) of one document with aliases expanded: one for every 10 bytes of the largest
    /// document, as in ordinary YAML. It also bounds the time to reject a document.
    pub nodes: usize,
    /// Findings of a run. Someone who writes by hand never gets there; text that does is not a manifest.
    pub findings: usize,
}

/// The limits in force.
pub const LIMITS: ManifestLimits = ManifestLimits {
    document: 1 << 20,
    documents: model::LIMITS.documents,
    run: 16 << 20,
    depth: 32,
    nodes: 100_000,
    findings: 1_000,
};
