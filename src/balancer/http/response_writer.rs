//! Writes a response to a client that speaks HTTP/1.1.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use http_body::{Body, Frame};

use super::client_socket::ClientSocket;
use super::codec::{LAST_CHUNK, write_chunk_size, write_response_head, write_trailers};
use super::response_body::ResponseBody;

/// What of a request decides how its response is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseRules {
    answers_head: bool,
    version: Version,
    takes_trailers: bool,
}

/// How a response's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyForm {
    /// Not at all.
    None,
    /// As many bytes as its headers say.
    Plain,
    Chunked,
    /// Its end is the end of the connection.
    UntilClose,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseEnd {
    /// It is whole, and its headers say whether the connection is kept.
    Whole { keeps_alive: bool },
    /// The client cannot know what was to come: its connection must break.
    Broken,
}

impl ResponseRules {
    pub(super) fn new(request: &Parts) -> Self {
        Self {
            answers_head: request.method == Method::HEAD,
            version: request.version,
            takes_trailers: super::headers::takes_trailers(&request.headers),
        }
    }

    /// Of a request that could not be read.
    pub(super) const UNREAD: Self =
        Self { answers_head: false, version: Version::HTTP_11, takes_trailers: false };

    fn form(&self, status: StatusCode, length: Option<u64>) -> BodyForm {
        let has_none = self.answers_head || forbids_length(status) || status == StatusCode::NOT_MODIFIED;
        match (has_none, length, self.version) {
            (true, ..) => BodyForm::None,
            (false, Some(_), _) => BodyForm::Plain,
            (false, None, Version::HTTP_10) => BodyForm::UntilClose,
            (false, None, _) => BodyForm::Chunked,
        }
    }
}

/// Writes a response to its end. `keeps_alive`: whether another request may follow.
pub(super) async fn write_response(
    socket: &Rc<ClientSocket>,
    rules: ResponseRules,
    response: Response<ResponseBody>,
    keeps_alive: bool,
    date: HeaderValue,
) -> ResponseEnd {
    let (mut head, body) = response.into_parts();
    let form = rules.form(head.status, body.size_hint().exact());
    let keeps_alive =
        keeps_alive && form != BodyForm::UntilClose && !body.abandons_upload() && !says_close(&head.headers);
    let headers = &mut head.headers;
    headers.entry(http::header::DATE).or_insert(date);
    match form {
        BodyForm::Plain => {
            let length = body.size_hint().exact().unwrap_or_default();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        BodyForm::Chunked => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        BodyForm::None if forbids_length(head.status) => {
            headers.remove(CONTENT_LENGTH);
        }
        BodyForm::None | BodyForm::UntilClose => {}
    }
    match (head.status, keeps_alive, rules.version) {
        // its own `Connection` names the protocol that it switches to
        (StatusCode::SWITCHING_PROTOCOLS, ..) => {}
        (_, false, _) => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        (_, true, Version::HTTP_10) => {
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        }
        (_, true, _) => {}
    }
    socket.begin_response();
    write_response_head(socket.output().tail(), head.status, headers);
    let trailers = if rules.takes_trailers { announced(headers) } else { Vec::new() };
    let mut writer = BodyWriter { form, body, trailers, is_ended: false, is_broken: false };
    let written = std::future::poll_fn(|cx| writer.poll_write(socket, cx)).await;
    let end = match written {
        Ok(()) => {
            let uploaded = std::future::poll_fn(|cx| writer.body.poll_upload(cx)).await;
            ResponseEnd::Whole { keeps_alive: keeps_alive && uploaded.is_ok() }
        }
        Err(BrokenResponse) => ResponseEnd::Broken,
    };
    socket.end_response(matches!(end, ResponseEnd::Whole { .. }));
    end
}

/// Whether such a response must not say a length (RFC 9110, section 8.6).
fn forbids_length(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value == "close")
}

/// The trailers that a response announces: only these are passed.
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(TRAILER).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()).collect()
}

/// The client, or the endpoint, broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BrokenResponse;

struct BodyWriter {
    form: BodyForm,
    body: ResponseBody,
    trailers: Vec<HeaderName>,
    is_ended: bool,
    /// Whether what was queued is all that will come, and less than was to come.
    is_broken: bool,
}

impl BodyWriter {
    /// Writes until all is written.
    fn poll_write(
        &mut self,
        socket: &ClientSocket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BrokenResponse>> {
        loop {
            // a client may read only after it has sent everything, so its request is forwarded even while it reads nothing
            if let Poll::Ready(Err(_)) = self.body.poll_upload(cx) {
                self.is_broken = true;
            }
            let filled = self.poll_fill(socket, cx);
            ready!(socket.poll_flush(cx)).map_err(|_| BrokenResponse)?;
            if self.is_broken {
                return Poll::Ready(Err(BrokenResponse));
            }
            if self.is_ended {
                return Poll::Ready(Ok(()));
            }
            if filled.is_pending() {
                return socket.poll_gone(cx).map(|()| Err(BrokenResponse));
            }
        }
    }

    /// Queues what has come of the body, up to a bound; pending while more is to come.
    fn poll_fill(&mut self, socket: &ClientSocket, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_ended && !self.is_broken && !socket.output().is_full() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => self.push(frame, socket),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a response broke off");
                    self.is_broken = true;
                }
                None => self.end(socket),
            }
        }
        Poll::Ready(())
    }

    fn push(&mut self, frame: Frame<Bytes>, socket: &ClientSocket) {
        let mut output = socket.output();
        match (frame.into_data(), self.form) {
            (_, BodyForm::None) => {}
            (Ok(data), BodyForm::Plain | BodyForm::UntilClose) => output.push(data),
            (Ok(data), BodyForm::Chunked) => {
                write_chunk_size(output.tail(), data.len());
                output.push(data);
                output.tail().extend_from_slice(b"\r\n");
            }
            (Err(frame), form) => {
                if let Ok(mut trailers) = frame.into_trailers()
                    && form == BodyForm::Chunked
                {
                    self.is_ended = true;
                    super::headers::strip_from_trailers(&mut trailers);
                    let unannounced: Vec<HeaderName> =
                        trailers.keys().filter(|name| !self.trailers.contains(name)).cloned().collect();
                    for name in unannounced {
                        trailers.remove(name);
                    }
                    write_trailers(output.tail(), &trailers);
                }
            }
        }
    }

    fn end(&mut self, socket: &ClientSocket) {
        self.is_ended = true;
        if self.form == BodyForm::Chunked {
            socket.output().tail().extend_from_slice(LAST_CHUNK);
        }
    }
}
