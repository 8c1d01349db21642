//! Calls that read objects, once or again whenever one changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::answer::{FailedCall, JsonAnswer, JsonBody, ParsedQuery, ServiceQuery, SharedController};
use super::streams::{Reading, ndjson, snapshots};
use crate::api::types::{
    AuthorityObject, CertificateObject, DaemonStatus, EndpointObject, ExplainedRequest, List, NodeObject,
    ReplicaObject, RevisionObject, RouteExplanation, ServiceObject, VolumeObject,
};
use crate::controller::{Controller, ControllerError};
use crate::model::ServiceName;

pub(super) async fn status(State(controller): SharedController) -> JsonAnswer<DaemonStatus> {
    Ok(Json(controller.queries().status().await?.into()))
}

pub(super) async fn service(
    State(controller): SharedController,
    Path(name): Path<ServiceName>,
) -> JsonAnswer<ServiceObject> {
    let mut found = controller.queries().services(std::slice::from_ref(&name)).await?;
    let found = found.pop().ok_or_else(|| ControllerError::NotFound(vec![(&name).into()]))?;
    Ok(Json(found.into()))
}

pub(super) async fn explain_route(
    State(controller): SharedController,
    JsonBody(request): JsonBody<ExplainedRequest>,
) -> JsonAnswer<RouteExplanation> {
    Ok(Json(controller.queries().explain_route(&request)))
}

/// Lists objects of the services asked for.
async fn listed<T, O, F>(
    controller: Arc<Controller>,
    shutdown: CancellationToken,
    query: ServiceQuery,
    read: impl Fn(Arc<Controller>, Vec<ServiceName>) -> F + Send + Sync + 'static,
) -> Result<Response, FailedCall>
where
    O: From<T> + Clone + PartialEq + Serialize + Send + 'static,
    F: Future<Output = Result<Vec<T>, ControllerError>> + Send + 'static,
{
    let names = query.names();
    let list = move |controller: Arc<Controller>| {
        let items = read(controller, names.clone());
        async move { Ok::<_, ControllerError>(List::of(items.await?.into_iter().map(O::from).collect())) }
    };
    if !query.watch {
        return Ok(Json(list(controller).await?).into_response());
    }
    let again = move |controller: Arc<Controller>| {
        let list = list(controller);
        async move { Ok(Reading::Current(list.await?)) }
    };
    Ok(ndjson(snapshots(controller, shutdown, again)))
}

/// A handler that lists what a query of the same name finds.
macro_rules! listing {
    ($($name:ident -> $object:ty;)*) => {
        $(pub(super) async fn $name(
            State(controller): SharedController,
            axum::Extension(shutdown): axum::Extension<CancellationToken>,
            ParsedQuery(query): ParsedQuery<ServiceQuery>,
        ) -> Result<Response, FailedCall> {
            listed::<_, $object, _>(controller, shutdown, query, |controller, names| async move {
                controller.queries().$name(&names).await
            })
            .await
        })*
    };
}

listing! {
    services -> ServiceObject;
    replicas -> ReplicaObject;
    endpoints -> EndpointObject;
    revisions -> RevisionObject;
    certificates -> CertificateObject;
}

/// The certificate of the local CA, for those who are to trust it.
pub(super) async fn authority(State(controller): SharedController) -> JsonAnswer<AuthorityObject> {
    let report = controller.queries().served_certificates().report();
    Ok(Json(report.authority.ok_or(ControllerError::NoAuthority)?.into()))
}

pub(super) async fn nodes(
    State(controller): SharedController,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    ParsedQuery(query): ParsedQuery<ServiceQuery>,
) -> Result<Response, FailedCall> {
    listed::<_, NodeObject, _>(controller, shutdown, query, |controller, _| async move {
        Ok(controller.queries().nodes())
    })
    .await
}

pub(super) async fn volumes(
    State(controller): SharedController,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    ParsedQuery(query): ParsedQuery<ServiceQuery>,
) -> Result<Response, FailedCall> {
    listed::<_, VolumeObject, _>(controller, shutdown, query, |controller, names| async move {
        controller.nodes().volumes(&names).await
    })
    .await
}
