//! Calls over the daemon's unix socket, one connection each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{timeout, timeout_at};

use super::command_deadline::CommandDeadline;
use super::failed_call::{CallError, rejection};
use super::lines::objects;
use super::pieces::pieces;
use crate::api::types::ApiError;

/// A unix socket connects at once or its queue is full; the supervisor keeps it open while a controller restarts.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// A read takes milliseconds; a controller that restarts is back within a few seconds.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// A large store is read, or written and flushed, within seconds.
const BULK_DEADLINE: Duration = Duration::from_secs(120);
/// A write may have to pull an image before it can answer what it resolves to.
const WRITE_DEADLINE: Duration = Duration::from_secs(600);
/// How often it is checked during a write that the daemon still answers.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// An answer, or a line of a stream, larger than this is not one of ours: 5,000 services with 20 KiB each fit.
const ANSWER_MAX_BYTES: usize = 128 << 20;

type WholeAnswer = (StatusCode, Bytes);

/// The way to one daemon.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    socket: PathBuf,
    /// Of the whole command.
    deadline: CommandDeadline,
}

impl Transport {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, deadline: CommandDeadline::default() }
    }

    pub(super) fn bounded(self, deadline: CommandDeadline) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.parse(path, self.exchange(Method::GET, path, Bytes::new(), READ_DEADLINE).await)
    }

    /// A command without a body, which is answered at once; it is not repeated.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.parse(path, self.exchange(Method::POST, path, Bytes::new(), READ_DEADLINE).await)
    }

    /// A write whose answer was lost is repeated once; its request id makes that safe.
    pub(super) async fn write<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(request).map_err(|error| self.invalid(error.to_string()))?;
        let body = Bytes::from(body);
        let written = async {
            let answer = self.exchange(Method::POST, path, body.clone(), WRITE_DEADLINE).await;
            match answer {
                Err(CallError::Lost(_)) => self.exchange(Method::POST, path, body, WRITE_DEADLINE).await,
                answer => answer,
            }
        };
        let answer = tokio::select! {
            answer = written => answer,
            silent = self.falls_silent() => Err(silent),
        };
        self.parse(path, answer)
    }

    /// Resolves when the daemon answers nothing at all: a write that pulls an image takes minutes, and meanwhile only another
    /// call tells whether the daemon still answers.
    async fn falls_silent(&self) -> CallError {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            // A controller that restarts is back within seconds; the write itself notices what else is wrong.
            let asked = self.exchange(Method::GET, "/v1/status", Bytes::new(), READ_DEADLINE).await;
            if let Err(CallError::TimedOut(after)) = asked {
                return CallError::TimedOut(ASK_EVERY + after);
            }
        }
    }

    /// An answer that is not JSON, of at most that many bytes.
    pub(super) async fn download(
        &self,
        path: &str,
        max: usize,
    ) -> Result<BoxStream<'static, Result<Bytes, ApiError>>, ApiError> {
        let body = self.head(path, BULK_DEADLINE).await?;
        Ok(pieces(self.socket.clone(), body, READ_DEADLINE, max).boxed())
    }

    /// A write whose body is not JSON; it is not repeated.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ApiError> {
        self.parse(path, self.exchange(Method::POST, path, body.into(), BULK_DEADLINE).await)
    }

    /// A stream of objects, after its head came.
    pub(super) async fn stream<T>(
        &self,
        path: &str,
    ) -> Result<BoxStream<'static, Result<T, ApiError>>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let body = self.head(path, READ_DEADLINE).await?;
        Ok(objects(self.socket.clone(), body, ANSWER_MAX_BYTES).boxed())
    }

    /// The body of an answer, once its head came.
    async fn head(&self, path: &str, deadline: Duration) -> Result<Incoming, ApiError> {
        let head = async {
            let response = self.send(Method::GET, path, Bytes::new()).await?;
            if response.status().is_success() { Ok(Ok(response)) } else { collect(response).await.map(Err) }
        };
        let head = self.within(deadline, head).await;
        match head.map_err(|error| error.explain(&self.socket))? {
            Ok(response) => Ok(response.into_body()),
            Err((status, body)) => Err(rejection(status, &body)),
        }
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<WholeAnswer, CallError> {
        let whole = async { collect(self.send(method, path, body).await?).await };
        self.within(deadline, whole).await
    }

    /// Bounds a call by its own deadline and by that of the command.
    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let call = async { timeout(limit, call).await.unwrap_or(Err(CallError::TimedOut(limit))) };
        match self.deadline.at() {
            Some(deadline) => timeout_at(deadline, call).await.unwrap_or(Err(CallError::CommandTimedOut)),
            None => call.await,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, CallError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "ctl")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| CallError::Invalid(format!("{path} is not a request: {error}")))?;
        let socket = timeout(CONNECT_DEADLINE, UnixStream::connect(&self.socket)).await;
        let socket = socket.map_err(|_| CallError::TimedOut(CONNECT_DEADLINE))?;
        let socket = socket.map_err(CallError::Connect)?;
        let lost = |error: hyper::Error| CallError::Lost(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(lost)?;
        // The connection lives as long as its response, which also gets its errors.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(lost)
    }

    fn parse<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Result<WholeAnswer, CallError>,
    ) -> Result<T, ApiError> {
        let (status, body) = answer.map_err(|error| error.explain(&self.socket))?;
        if !status.is_success() {
            return Err(rejection(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| self.invalid(format!("the answer to {path} is invalid: {error}")))
    }

    fn invalid(&self, reason: String) -> ApiError {
        CallError::Invalid(reason).explain(&self.socket)
    }
}

async fn collect(response: Response<Incoming>) -> Result<WholeAnswer, CallError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
    Ok((status, body.map_err(|error| CallError::Lost(error.to_string()))?.to_bytes()))
}
