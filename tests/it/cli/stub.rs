//! A daemon that answers from a script, on a unix socket in a directory of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

/// How one call is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A status and a body.
    Whole(u16, String),
    /// Lines, then the stream ends.
    Lines(String),
    /// Lines, then nothing more until the client leaves.
    LinesThenSilence(String),
    /// The connection is closed without an answer.
    Lost,
}

impl Reply {
    pub(super) fn json(body: &impl Serialize) -> Self {
        Self::Whole(200, serde_json::to_string(body).unwrap())
    }

    pub(super) fn error(error: &ErrorDetail) -> Self {
        Self::Whole(400, serde_json::to_string(error).unwrap())
    }

    pub(super) fn lines<T: Serialize>(items: &[T]) -> Self {
        Self::Lines(lines(items))
    }

    pub(super) fn silence_after<T: Serialize>(items: &[T]) -> Self {
        Self::LinesThenSilence(lines(items))
    }
}

fn lines<T: Serialize>(items: &[T]) -> String {
    items.iter().map(|item| serde_json::to_string(item).unwrap() + "\n").collect()
}

type Script = BTreeMap<String, Vec<Reply>>;

/// A running stub; calls that the script does not know get a 404.
pub(super) struct Stub {
    directory: TempDir,
    script: Arc<Mutex<Script>>,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Stub {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("ctl.sock")).unwrap();
        let stub = Self { directory, script: Arc::default(), calls: Arc::default() };
        let (script, calls) = (Arc::clone(&stub.script), Arc::clone(&stub.calls));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, calls) = (Arc::clone(&script), Arc::clone(&calls));
                std::thread::spawn(move || serve(stream, &script, &calls));
            }
        });
        stub
    }

    /// Answers a call (`GET /v1/status`) with these, one after the other; the last one again and again, but for streams that
    /// the client opens again when they end: then one call is refused, and the replies come again from the first.
    pub(super) fn on(self, call: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        let end = is_followed(call).then(|| Reply::error(&codes::USAGE.detail("the script is at its end")));
        self.script.lock().unwrap().insert(call.to_owned(), replies.into_iter().chain(end).collect());
        self
    }

    /// Writes a file next to the socket, where the commands run.
    pub(super) fn file(self, name: &str, text: &str) -> Self {
        let path = self.directory().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory().join("ctl.sock")
    }

    /// Bodies of the calls so far to this path, in their order.
    pub(super) fn bodies(&self, call: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(made, _)| made == call).map(|(_, body)| body.clone()).collect()
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(call, _)| call.clone()).collect()
    }
}

fn serve(stream: UnixStream, script: &Mutex<Script>, calls: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let call = head.split(" HTTP").next().unwrap().to_owned();
    calls.lock().unwrap().push((call.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
    let reply = {
        let mut script = script.lock().unwrap();
        match script.get_mut(&call) {
            Some(replies) if is_followed(&call) => {
                replies.rotate_left(1);
                replies[replies.len() - 1].clone()
            }
            Some(replies) if replies.len() > 1 => replies.remove(0),
            Some(replies) => replies[0].clone(),
            None => Reply::Whole(404, format!("the script has no {call}")),
        }
    };
    answer(stream, &mut reader, reply);
}

fn is_followed(call: &str) -> bool {
    call.contains("watch=true") || call.contains("/v1/events?") && call.contains("follow=true")
}

fn answer(mut stream: UnixStream, reader: &mut impl Read, reply: Reply) {
    let (status, body, length, silent) = match reply {
        Reply::Whole(status, body) => {
            let length = format!("content-length: {}\r\n", body.len());
            (status, body, length, false)
        }
        Reply::Lines(body) => (200, body, String::new(), false),
        Reply::LinesThenSilence(body) => (200, body, String::new(), true),
        Reply::Lost => return,
    };
    // A client may leave before it has read everything; that is no error.
    if write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\n{length}\r\n{body}").is_ok() && silent {
        reader.read_exact(&mut [0]).ok();
    }
}
