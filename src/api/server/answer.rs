//! What handlers share: parts of requests, and errors as answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::codes;
use crate::api::refusals::error_of;
use crate::api::types::{ApiError, ErrorDetail};
use crate::controller::{Controller, ControllerError};
use crate::model::ServiceName;

pub(super) type SharedController = State<Arc<Controller>>;
pub(super) type JsonAnswer<T> = Result<Json<T>, FailedCall>;

/// An error as the answer to a call.
pub(super) struct FailedCall(ApiError);

impl FailedCall {
    pub(super) fn of(error: ErrorDetail) -> Self {
        Self(error.into())
    }
}

impl From<ControllerError> for FailedCall {
    fn from(error: ControllerError) -> Self {
        Self(error_of(error))
    }
}

impl From<JsonRejection> for FailedCall {
    fn from(rejection: JsonRejection) -> Self {
        invalid(&rejection.body_text())
    }
}

impl From<QueryRejection> for FailedCall {
    fn from(rejection: QueryRejection) -> Self {
        invalid(&rejection.body_text())
    }
}

fn invalid(reason: &str) -> FailedCall {
    FailedCall(codes::USAGE.error(format!("invalid request: {reason}")))
}

impl IntoResponse for FailedCall {
    fn into_response(self) -> Response {
        let status = match self.0.exit {
            2 => StatusCode::UNPROCESSABLE_ENTITY,
            3 => StatusCode::SERVICE_UNAVAILABLE,
            7 => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// A JSON body; an invalid one is answered with an [`ApiError`].
#[derive(FromRequest)]
#[from_request(via(Json), rejection(FailedCall))]
pub(super) struct JsonBody<T>(pub(super) T);

/// A query; an invalid one is answered with an [`ApiError`].
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(FailedCall))]
pub(super) struct ParsedQuery<T>(pub(super) T);

pub(super) async fn unknown_call(method: Method, uri: Uri) -> FailedCall {
    let path = uri.path();
    FailedCall(
        codes::USAGE.error(format!("this daemon has no call {method} {path}; ctl may be newer than it")),
    )
}

/// The services that a call is about; names are separated by commas, none means all.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ServiceQuery {
    #[serde(default)]
    service: String,
    #[serde(default)]
    pub(super) watch: bool,
    #[serde(default)]
    pub(super) follow: bool,
}

impl ServiceQuery {
    pub(super) fn names(&self) -> Vec<ServiceName> {
        names_in(&self.service).map(ServiceName::new).collect()
    }
}

/// Names that are separated by commas.
pub(super) fn names_in(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').filter(|name| !name.is_empty())
}
