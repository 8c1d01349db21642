//! Calls that change something.

use axum::Json;
use axum::extract::State;

use super::answer::{JsonAnswer, JsonBody, SharedController};
use crate::api::types::{
    ApplyRequest, ApplyResponse, ConfirmRequest, ConfirmResponse, DeleteRequest, KillRequest, KillResponse,
    RolloutRequest, ScaleRequest, WriteResponse, WrittenObject,
};
use crate::controller::WriteResult;

fn written(results: Vec<WriteResult>) -> Vec<WrittenObject> {
    results.into_iter().map(WrittenObject::from).collect()
}

pub(super) async fn apply(
    State(controller): SharedController,
    JsonBody(request): JsonBody<ApplyRequest>,
) -> JsonAnswer<ApplyResponse> {
    let ApplyRequest { request_id, documents, applying, by } = request;
    let dry_run = !applying.writes();
    let results = controller.writes().apply(&request_id, &documents, applying, by).await?;
    Ok(Json(ApplyResponse { results: written(results), dry_run }))
}

pub(super) async fn scale(
    State(controller): SharedController,
    JsonBody(request): JsonBody<ScaleRequest>,
) -> JsonAnswer<WriteResponse> {
    let ScaleRequest { request_id, targets, by } = request;
    let results = controller.writes().scale(&request_id, &targets, by).await?;
    Ok(Json(WriteResponse { results: written(results) }))
}

pub(super) async fn rollout(
    State(controller): SharedController,
    JsonBody(request): JsonBody<RolloutRequest>,
) -> JsonAnswer<WriteResponse> {
    let RolloutRequest { request_id, service, change, by } = request;
    let results = controller.writes().rollout(&request_id, &service, &change, by).await?;
    Ok(Json(WriteResponse { results: written(results) }))
}

pub(super) async fn delete(
    State(controller): SharedController,
    JsonBody(request): JsonBody<DeleteRequest>,
) -> JsonAnswer<WriteResponse> {
    let DeleteRequest { request_id, objects, volumes, by } = request;
    let results = controller.writes().delete(&request_id, &objects, volumes, by).await?;
    Ok(Json(WriteResponse { results: written(results) }))
}

pub(super) async fn confirm(
    State(controller): SharedController,
    JsonBody(request): JsonBody<ConfirmRequest>,
) -> JsonAnswer<ConfirmResponse> {
    let ConfirmRequest { request_id, lost_volumes } = request;
    tracing::info!(request = request_id, ?lost_volumes, "held removals and lost volumes confirmed");
    Ok(Json(controller.confirm(lost_volumes).await?.into()))
}

pub(super) async fn kill(
    State(controller): SharedController,
    JsonBody(request): JsonBody<KillRequest>,
) -> JsonAnswer<KillResponse> {
    let KillRequest { request_id, service, replica, container, by } = request;
    tracing::info!(request = request_id, %replica, "a container is killed by request");
    controller.nodes().kill(&service, &replica, &container, by).await?;
    Ok(Json(KillResponse { container }))
}
