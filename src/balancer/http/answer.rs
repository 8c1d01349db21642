//! What an attempt to send a request brought, whatever the endpoint speaks.

use http::response;

use super::http1_response_body::Http1ResponseBody;
use super::http2::Http2ResponseBody;
use super::upload::UploadError;
use super::upstream::NoResponse;

/// A response whose body is still to come.
pub(super) struct Answer {
    pub(super) head: response::Parts,
    pub(super) content: AnswerContent,
}

/// The body of a response, with what of its request is still to be sent.
pub(super) enum AnswerContent {
    Http1(Http1ResponseBody),
    Http2(Http2ResponseBody),
}

/// Why there is no response.
pub(super) enum NoAnswer {
    Upload(UploadError),
    Response(NoResponse),
}
