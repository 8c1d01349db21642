//! Certificates of HTTPS routes: read from files of the node, or issued by the daemon's local CA.
//!
//! Purpose: `files` reads, `pair` checks, `choice` decides which certificate serves, `local_authority` issues, `kept` remembers the last
//! good pair of each host on disk, `keeper` puts them together.
//! Invariants: a certificate without its matching key, or for another host, is never served; one that serves is replaced only by a better
//! one; a private key appears in no message.
//! Deliberately absent: which hosts want a certificate (services), who serves them (balancers), when a pass is due (`daemon`).

mod choice;
mod facts;
mod files;
mod keeper;
mod kept;
mod local_authority;
mod pair;
mod private_file;
mod problem;

pub use facts::CertificateFacts;
pub use files::check_files;
pub use keeper::{CertificateKeeper, HostCertificate};
pub use local_authority::{AuthorityCertificate, LocalAuthority};
pub use problem::CertificateProblem;
