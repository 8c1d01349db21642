//! Routes and ports that another service has.

use crate::api::codes;
use crate::api::types::ErrorDetail;
use crate::controller::ClaimHolder;
use crate::model::{ObjectRef, claim_phrase};

/// A claim that an object asks for and another one holds, or that a request can match as well as a held one.
pub(super) fn taken(claim: &str, object: &ObjectRef, origin: &str, holder: &ClaimHolder) -> ErrorDetail {
    let ClaimHolder { object: owner, claim: held } = holder;
    let next = vec![format!("ctl get {} -o yaml", owner.name)];
    if claim != held {
        let why = vec![
            format!("{} has {held}", owner.phrase()),
            format!("{} declares {claim} in {origin}", object.phrase()),
            "neither has more conditions, and none of them excludes one of the other".to_owned(),
        ];
        let what = format!("a request can match routes of both {} and {}", owner.name, object.name);
        return ErrorDetail { why, next, ..codes::ROUTE_TAKEN.detail(what) };
    }
    let name = if claim.starts_with("tcp:") { claim_phrase(claim) } else { claim.to_owned() };
    let why = vec![
        format!("{} has {name}", owner.phrase()),
        format!("{} declares it in {origin}", object.phrase()),
    ];
    let what = format!("{name} is claimed by both {} and {}", owner.name, object.name);
    ErrorDetail { why, next, ..codes::ROUTE_TAKEN.detail(what) }
}
