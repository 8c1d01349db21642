//! A stream of the daemon that is opened again when the connection breaks: the daemon may be restarting.

use std::ops::ControlFlow;
use std::time::Duration;

use coxswain::api::client::ObjectStream;
use coxswain::api::codes;
use coxswain::api::types::ApiError;
use futures::stream::{BoxStream, StreamExt, unfold};
use tokio::time::{Instant, sleep};

use crate::error::CliError;
use crate::session::Session;

const PAUSE: Duration = Duration::from_millis(300);
/// A controller restarts well within this time; after it the daemon is considered gone.
const LIMIT: Duration = Duration::from_secs(30);

/// A stream that has been open for this long is not part of the last outage, although nothing may have come.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// Where a stream comes from.
pub(crate) trait StreamSource: Send {
    type Item: Send;

    /// Opens the stream: from its beginning, or from where the last one broke off.
    fn open(&mut self) -> impl Future<Output = Result<ObjectStream<Self::Item>, ApiError>> + Send;

    /// Whether the item is not known yet: a stream that is opened again may repeat what the last one sent.
    fn is_new(&mut self, _item: &Self::Item) -> bool {
        true
    }

    /// Why the daemon ended the stream; `None` if that is its regular end.
    fn end(&self) -> Option<ApiError> {
        Some(codes::stream_ended())
    }
}

/// What comes from a stream.
pub(crate) enum StreamUpdate<T> {
    Item(T),
    /// The connection broke; the stream is being opened again.
    Lost,
    /// The stream is open again.
    Restored,
    Ended,
}

pub(crate) struct ReconnectingStream<S: StreamSource> {
    source: S,
    stream: Option<ObjectStream<S::Item>>,
    opened_at: Option<Instant>,
    /// When the outage began that is under way, or that ended a moment ago.
    lost_since: Option<Instant>,
}

impl<S: StreamSource> ReconnectingStream<S> {
    /// A stream that is opened when it is first read; an outage before that counts like any other.
    pub(crate) fn new(source: S) -> Self {
        Self { source, stream: None, opened_at: None, lost_since: None }
    }

    /// A stream that is open.
    ///
    /// # Errors
    /// It cannot be opened now: the user should know at once.
    pub(crate) async fn open(mut source: S) -> Result<Self, ApiError> {
        let stream = source.open().await?;
        Ok(Self { source, stream: Some(stream), opened_at: None, lost_since: None })
    }

    /// The updates as a stream. Unlike [`Self::next`], a read of it may be abandoned: the next one continues it.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<StreamUpdate<S::Item>, ApiError>>
    where
        S: 'static,
    {
        unfold(self, |mut stream| async move { Some((stream.next().await, stream)) }).boxed()
    }

    /// The next update. A read must not be abandoned: it may be opening the stream.
    ///
    /// # Errors
    /// The daemon refuses the stream, or has been gone for [`LIMIT`].
    pub(crate) async fn next(&mut self) -> Result<StreamUpdate<S::Item>, ApiError> {
        loop {
            let Some(stream) = &mut self.stream else {
                match self.source.open().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        self.opened_at = Some(Instant::now());
                        if self.lost_since.is_some() {
                            return Ok(StreamUpdate::Restored);
                        }
                    }
                    Err(error) => {
                        self.lost(error)?;
                        sleep(PAUSE).await;
                    }
                }
                continue;
            };
            let broken = match stream.next().await {
                Some(Ok(item)) => {
                    self.lost_since = None;
                    if self.source.is_new(&item) {
                        return Ok(StreamUpdate::Item(item));
                    }
                    continue;
                }
                Some(Err(error)) => error,
                None => match self.source.end() {
                    None => return Ok(StreamUpdate::Ended),
                    Some(error) => error,
                },
            };
            self.stream = None;
            if self.opened_at.is_some_and(|at| at.elapsed() > STEADY_AFTER) {
                self.lost_since = None;
            }
            if self.lost(broken)? {
                return Ok(StreamUpdate::Lost);
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether an outage begins with this error.
    ///
    /// # Errors
    /// The error itself, if another attempt would not help.
    fn lost(&mut self, error: ApiError) -> Result<bool, ApiError> {
        let begins = self.lost_since.is_none();
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        if error.exit != codes::DAEMON_SILENT.exit || since.elapsed() > LIMIT {
            Err(error)
        } else {
            Ok(begins)
        }
    }
}

/// What the user reads when a stream breaks.
pub(crate) const LOST: &str = "! the connection to the daemon is lost; reconnecting …";

/// What the user reads when it is open again.
pub(crate) const RESTORED: &str = "= reconnected";

/// Takes each item of a stream until it ends; notes on standard error what happens to the connection.
pub(crate) async fn for_each<S: StreamSource>(
    session: &Session<'_>,
    source: S,
    mut take: impl FnMut(S::Item) -> Result<(), CliError>,
) -> Result<(), CliError> {
    until(session, source, |item| take(item).map(ControlFlow::Continue)).await
}

/// The same, until an item is the last one that is wanted.
pub(crate) async fn until<S: StreamSource>(
    session: &Session<'_>,
    source: S,
    mut take: impl FnMut(S::Item) -> Result<ControlFlow<()>, CliError>,
) -> Result<(), CliError> {
    let mut stream = ReconnectingStream::open(source).await?;
    loop {
        match stream.next().await? {
            StreamUpdate::Item(item) => match take(item)? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => return Ok(()),
            },
            StreamUpdate::Lost => session.ui.note(LOST),
            StreamUpdate::Restored => session.ui.note(RESTORED),
            StreamUpdate::Ended => return Ok(()),
        }
    }
}
