//! Requests in HTTP/2 from outside: several at a time over one connection, which is replaced when it ends.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::load::{ANSWER_TIMEOUT, Outages, Progress, Tally, UNMET_PAUSE, letters};

/// Of the body of every other request; larger than the window of a stream.
const BODY: usize = 200_000;
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// Each time that a balancer ends its connections costs a request one attempt.
const ATTEMPTS: usize = 20;

/// A client with one connection.
pub(crate) struct Http2Client {
    pub(crate) address: SocketAddr,
    pub(crate) host: &'static str,
    /// Of the bodies that it sends.
    pub(crate) seed: usize,
    pub(crate) requests_at_a_time: usize,
}

/// Why a request has no answer.
enum NoAnswer {
    /// The balancer says that it has not looked at it, or nothing was sent: any client sends it again.
    Unseen,
    Failed(String),
}

impl Http2Client {
    /// Sends until it is stopped. `kind` names its answers.
    pub(crate) fn run(
        &self,
        kind: &str,
        outages: &Outages,
        stop: &AtomicBool,
        answered: &AtomicU64,
    ) -> Tally {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = Rc::default();
        let workers = (0..self.requests_at_a_time).map(|number| {
            let connection: Rc<RefCell<Option<SendRequest<Bytes>>>> = Rc::clone(&connection);
            async move {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    tally.sent += 1;
                    let has_body = (tally.sent + number as u64).is_multiple_of(2);
                    let mut progress = Progress::begin();
                    match self.request(&connection, has_body, &mut progress).await {
                        Ok(()) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            *tally.answered.entry(kind.to_owned()).or_default() += 1;
                        }
                        Err(_) if outages.excuse(&progress) => {
                            tally.unmet += 1;
                            tokio::time::sleep(UNMET_PAUSE).await;
                        }
                        Err(error) => {
                            let (host, sent) = (self.host, tally.sent);
                            tally
                                .failures
                                .push(format!("{kind}, request {sent} to {host}: {error}; {progress:?}"));
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                tally
            }
        });
        let mut total = Tally::default();
        runtime.block_on(join_all(workers)).into_iter().for_each(|tally| total.add(tally));
        total
    }

    /// Sends a request until it is answered, or failed.
    async fn request(
        &self,
        connection: &RefCell<Option<SendRequest<Bytes>>>,
        has_body: bool,
        progress: &mut Progress,
    ) -> Result<(), String> {
        for _ in 0..ATTEMPTS {
            let kept = connection.borrow().clone();
            progress.is_reused = kept.is_some();
            let sender = match kept {
                Some(sender) => sender,
                None => {
                    let sender = connect(self.address).await?;
                    *connection.borrow_mut() = Some(sender.clone());
                    sender
                }
            };
            match tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(sender, has_body, progress)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(NoAnswer::Unseen)) => drop(connection.borrow_mut().take()),
                Ok(Err(NoAnswer::Failed(error))) => {
                    drop(connection.borrow_mut().take());
                    return Err(error);
                }
                Err(_) => return Err("no answer in time".to_owned()),
            }
        }
        Err(format!("the balancer looked at none of {ATTEMPTS} attempts"))
    }

    async fn exchange(
        &self,
        sender: SendRequest<Bytes>,
        has_body: bool,
        progress: &mut Progress,
    ) -> Result<(), NoAnswer> {
        let mut sender = sender.ready().await.map_err(|_| NoAnswer::Unseen)?;
        let path = if has_body { "/echo" } else { "/" };
        let request = Request::builder().method(if has_body { "POST" } else { "GET" });
        let request = request.uri(format!("http://{}{path}", self.host)).body(()).expect("a request");
        progress.sent = Some(Instant::now());
        let (response, mut send) = sender.send_request(request, !has_body).map_err(|_| NoAnswer::Unseen)?;
        let sent = if has_body { letters(self.seed, BODY) } else { Vec::new() };
        let sending = async {
            let mut rest = Bytes::from(sent.clone());
            while !rest.is_empty() {
                send.reserve_capacity(rest.len());
                // what the stream ended with shows in its response
                let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return };
                let piece = rest.split_to(room.min(rest.len()));
                if send.send_data(piece, rest.is_empty()).is_err() {
                    return;
                }
            }
        };
        let answering = async {
            let response = response.await.map_err(|error| no_answer(&error))?;
            progress.is_answered = true;
            let status = response.status();
            let mut stream = response.into_body();
            let mut body = Vec::new();
            while let Some(data) = stream.data().await {
                let data = data.map_err(|error| NoAnswer::Failed(error.to_string()))?;
                let _ = stream.flow_control().release_capacity(data.len());
                body.extend_from_slice(&data);
            }
            Ok((status, body))
        };
        let ((), answer) = tokio::join!(sending, answering);
        let (status, body) = answer?;
        let is_right = if has_body { body == sent } else { body.starts_with(b"{") };
        if status == 200 && is_right {
            return Ok(());
        }
        Err(NoAnswer::Failed(format!("{status}, {} bytes", body.len())))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, String> {
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        h2::client::handshake(stream).await.map_err(|error| error.to_string())
    };
    let connecting = tokio::time::timeout(ANSWER_TIMEOUT, connecting).await;
    let (sender, connection) = connecting.map_err(|_| "no connection in time".to_owned())??;
    tokio::spawn(async move {
        // its end shows in its requests
        let _ = connection.await;
    });
    Ok(sender)
}

/// A request that crossed the end of its connection was not looked at, which the balancer says (RFC 9113, section 6.8).
fn no_answer(error: &h2::Error) -> NoAnswer {
    let is_refused = error.reason() == Some(Reason::REFUSED_STREAM);
    let has_ended = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    if error.is_remote() && (is_refused || has_ended) {
        NoAnswer::Unseen
    } else {
        NoAnswer::Failed(error.to_string())
    }
}
