//! How a certificate is, in one word.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::described::described;

described! {
    /// State of a host's certificate.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum CertificateState {
        /// It serves, and nothing is wrong with it.
        Valid,
        /// It serves, and less than a tenth of its life is left.
        Expiring,
        /// It serves, and its life is over or has not begun: clients refuse it.
        OutOfDate,
        /// An earlier one serves, because the newest cannot.
        Stale,
        /// None serves: handshakes for the host are refused.
        Missing,
    }
}

impl CertificateState {
    /// Whether someone must act.
    pub fn is_broken(self) -> bool {
        matches!(self, Self::OutOfDate | Self::Stale | Self::Missing)
    }
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
