//! How useful a balancer is to its supervisor. Pure.

/// How useful a balancer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerHealth {
    /// It answers every request with 503.
    NoTable,
    HasTable,
    /// It has acknowledged a table that the controller sent, and could read the last one.
    InSync,
}
