//! A socket between the daemon and Docker that misbehaves on request.
//!
//! Forwards bytes both ways, a thread for each, without understanding them. What was read before the fault is held back,
//! not lost: a hung Engine answers everything once it comes to itself again.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread looks whether the fault has changed.
const LOOK: Duration = Duration::from_millis(20);

/// What the socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Forwards.
    None,
    /// Accepts and takes bytes, and passes none on, in neither direction.
    Hang,
    /// Passes requests on and no answer: the call takes effect, and its answer is lost.
    Mute,
    /// Closes every connection, old ones and new ones.
    Cut,
    /// Passes on only after so long, each piece.
    Slow(Duration),
}

struct Shared {
    fault: Mutex<Fault>,
    changed: Condvar,
    ended: Mutex<bool>,
    connections: AtomicU64,
    engine: PathBuf,
}

/// The socket; it is gone with this value.
pub(crate) struct FaultSock {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl FaultSock {
    /// Listens at `path` for what goes to the Engine behind `engine`.
    pub(crate) fn start(path: &Path, engine: &str) -> Self {
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            changed: Condvar::new(),
            ended: Mutex::new(false),
            connections: AtomicU64::new(0),
            engine: engine.into(),
        });
        let listener = UnixListener::bind(path).expect("a socket in a folder of ours");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let of_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listener, &of_acceptor));
        Self { path: path.to_owned(), shared, acceptor: Some(acceptor) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Misbehaves so from now on.
    pub(crate) fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
        self.shared.changed.notify_all();
    }

    /// Connections that were made so far: shows that the daemon asks, and that it does not ask all the time.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FaultSock {
    fn drop(&mut self) {
        *lock(&self.shared.ended) = true;
        self.set(Fault::Cut);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join(); // the rest ends by itself: its connections are cut
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    while !*lock(&shared.ended) {
        match listener.accept() {
            Ok((client, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                if *lock(&shared.fault) != Fault::Cut {
                    connect(client, shared);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            Err(error) => panic!("the socket cannot be listened on: {error}"),
        }
    }
}

fn connect(client: UnixStream, shared: &Arc<Shared>) {
    let Ok(engine) = UnixStream::connect(&shared.engine) else { return };
    client.set_nonblocking(false).expect("a blocking stream");
    let both = (client.try_clone().expect("a descriptor"), engine.try_clone().expect("a descriptor"));
    let (up, down) = (Arc::clone(shared), Arc::clone(shared));
    std::thread::spawn(move || forward(client, engine, false, &up));
    std::thread::spawn(move || forward(both.1, both.0, true, &down));
}

/// Passes on what comes, as long as the fault lets it; ends both directions with its own end.
fn forward(mut from: UnixStream, mut to: UnixStream, answers: bool, shared: &Shared) {
    from.set_read_timeout(Some(LOOK)).expect("a timeout");
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut piece);
        let passes = pass(answers, shared);
        match read {
            Ok(0) => break,
            Ok(count) if passes => {
                if to.write_all(&piece[..count]).is_err() {
                    break;
                }
            }
            Ok(_) => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && passes => {}
            Err(_) => break,
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)); // the other side may have done it
}

/// Waits while the fault holds back; `false` if the connection is to be cut.
fn pass(answers: bool, shared: &Shared) -> bool {
    let mut fault = lock(&shared.fault);
    loop {
        match *fault {
            Fault::None => return true,
            Fault::Mute if !answers => return true,
            Fault::Cut => return false,
            Fault::Slow(delay) => {
                drop(fault);
                std::thread::sleep(delay);
                return true;
            }
            Fault::Hang | Fault::Mute => fault = shared.changed.wait(fault).unwrap(),
        }
    }
}
