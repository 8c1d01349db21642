//! The limits of a spec, and of a run of documents.

/// Limits on one Service and on the run that applies it, with their reasons.
pub struct SpecLimits {
    /// A /24 network has 246 addresses for containers.
    pub replicas: u32,
    /// Enough for any service; keeps tables small.
    pub ports: usize,
    pub routes: usize,
    /// Routes and listened ports together: all may be taken or given back in one transaction.
    pub claims: usize,
    /// Docker hands env to exec; the kernel's limit for all is far higher, a manifest with more is a mistake.
    pub env: usize,
    /// A manifest with more is a mistake.
    pub volumes: usize,
    /// Longest path of a route or probe; the balancer's own limit for a request line is 8 KiB.
    pub path: usize,
    /// All of the spec as JSON, in bytes. One transaction of at most 1 MiB stores it three times: as the service, as
    /// what was applied, and as the revision.
    pub bytes: usize,
    /// Documents of a run: all of them are checked and resolved before the first is written.
    pub documents: usize,
}

/// The limits in force.
pub const LIMITS: SpecLimits = SpecLimits {
    replicas: 200,
    ports: 16,
    routes: 60,
    claims: 62,
    env: 512,
    volumes: 16,
    path: 1024,
    bytes: 256 * 1024,
    documents: 1_000,
};
