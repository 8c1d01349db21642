//! Checks passwords on a thread of its own: a hash takes as long as thousands of requests, which must not wait for it.
//!
//! Invariants: the queue is bounded, and so are the places of one client in it, so that a flood of wrong passwords delays no
//! request to a route without passwords, and no one whose password is known.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::client_limit::counted_as;
use super::password_verdicts::{PasswordDigest, PasswordVerdicts, digest};
use crate::clock::Clock;
use crate::model::{PasswordHashForm, check_hash};

/// Most passwords that wait to be checked: six seconds of work.
const QUEUE_MAX: usize = 64;
/// Most of one client: a browser opens six connections, and one check answers all of them.
const PER_CLIENT_MAX: usize = 4;
/// How long a request waits for its check.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);
/// Longest password: the time that SHA-crypt takes grows with the square of it.
const PASSWORD_MAX_BYTES: usize = 256;
/// Behind the threads that serve requests.
const NICENESS: i32 = 10;

/// Whether a password belongs to a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasswordAnswer {
    Right,
    Wrong,
    /// Too many are being checked.
    Busy,
}

pub(super) struct PasswordChecks {
    clock: Arc<dyn Clock>,
    /// Of this process; see [`digest`].
    secret: String,
    verdicts: Arc<Mutex<PasswordVerdicts>>,
    /// Checks that wait, by client.
    waiting: Mutex<HashMap<IpAddr, usize>>,
    /// To the thread, which starts with the first check.
    jobs: Mutex<Option<SyncSender<CheckJob>>>,
}

struct CheckJob {
    hash: String,
    password: Vec<u8>,
    digest: PasswordDigest,
    answer: oneshot::Sender<bool>,
}

/// A client's place in the queue.
struct QueuePlace<'a> {
    waiting: &'a Mutex<HashMap<IpAddr, usize>>,
    client: IpAddr,
}

impl PasswordChecks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            secret: clock.uuid(),
            verdicts: Arc::default(),
            waiting: Mutex::default(),
            jobs: Mutex::default(),
            clock,
        }
    }

    /// Whether a client's password belongs to a hash.
    pub(super) async fn check(&self, client: IpAddr, hash: &str, password: &[u8]) -> PasswordAnswer {
        if password.len() > PASSWORD_MAX_BYTES {
            return PasswordAnswer::Wrong;
        }
        let digest = digest(&self.secret, hash, password);
        if let Some(is_right) = self.verdicts.lock().get(&digest, self.clock.mono()) {
            return answer(is_right);
        }
        let Some(_place) = self.place(client) else { return PasswordAnswer::Busy };
        let (sender, answered) = oneshot::channel();
        let job = CheckJob { hash: hash.to_owned(), password: password.to_vec(), digest, answer: sender };
        if !self.send(job) {
            return PasswordAnswer::Busy;
        }
        match tokio::time::timeout(CHECK_DEADLINE, answered).await {
            Ok(Ok(is_right)) => answer(is_right),
            Ok(Err(_)) | Err(_) => PasswordAnswer::Busy,
        }
    }

    fn place(&self, client: IpAddr) -> Option<QueuePlace<'_>> {
        let client = counted_as(client);
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(client).or_default();
        if *count >= PER_CLIENT_MAX {
            return None;
        }
        *count += 1;
        Some(QueuePlace { waiting: &self.waiting, client })
    }

    /// Whether there was room in the queue.
    fn send(&self, job: CheckJob) -> bool {
        let mut jobs = self.jobs.lock();
        if jobs.is_none() {
            let (sender, receiver) = sync_channel(QUEUE_MAX);
            let verdicts = Arc::clone(&self.verdicts);
            let clock = Arc::clone(&self.clock);
            let thread = std::thread::Builder::new().name("passwords".to_owned());
            match thread.spawn(move || run(&receiver, &verdicts, &*clock)) {
                Ok(_) => *jobs = Some(sender),
                Err(error) => tracing::warn!(%error, "cannot start the thread that checks passwords"),
            }
        }
        jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.client);
            }
        }
    }
}

fn answer(is_right: bool) -> PasswordAnswer {
    if is_right { PasswordAnswer::Right } else { PasswordAnswer::Wrong }
}

/// Checks until no one can ask any more.
fn run(jobs: &Receiver<CheckJob>, verdicts: &Mutex<PasswordVerdicts>, clock: &dyn Clock) {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of the thread that checks passwords");
    }
    while let Ok(CheckJob { hash, password, digest, answer }) = jobs.recv() {
        // the client has left
        if answer.is_closed() {
            continue;
        }
        // another connection of the same client may have brought the same password
        let known = verdicts.lock().get(&digest, clock.mono());
        let is_right = known.unwrap_or_else(|| verify(&hash, &password));
        verdicts.lock().put(digest, is_right, clock.mono());
        // the client may leave at any time
        let _ = answer.send(is_right);
    }
}

/// Both crates compare digests in constant time.
fn verify(hash: &str, password: &[u8]) -> bool {
    use sha_crypt::PasswordVerifier;
    match check_hash(hash) {
        Ok(PasswordHashForm::Bcrypt) => bcrypt::verify(password, hash).unwrap_or(false),
        Ok(PasswordHashForm::Sha256Crypt | PasswordHashForm::Sha512Crypt) => {
            sha_crypt::ShaCrypt::default().verify_password(password, hash).is_ok()
        }
        // no table has such a hash, or its manifest was not checked
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RealClock;

    /// `openssl passwd -6 -salt saltsalt secret`.
    const SHA_512: &str =
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
    /// `openssl passwd -5 -salt saltsalt secret`.
    const SHA_256: &str = "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA";
    /// As `htpasswd -nbB -C 5 x secret` makes them, by libcrypt.
    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn passwords_are_verified_with_hashes_of_other_programs() {
        for hash in [SHA_512, SHA_256, BCRYPT] {
            assert!(check_hash(hash).is_ok() && verify(hash, b"secret"), "{hash}");
            assert!(!verify(hash, b"Secret") && !verify(hash, b""), "{hash}");
        }
        assert!(!verify("secret", b"secret"));
    }

    #[tokio::test]
    async fn answer_is_known_the_second_time_and_long_passwords_are_wrong() {
        let checks = PasswordChecks::new(Arc::new(RealClock::new()));
        for _ in 0..2 {
            assert_eq!(checks.check(CLIENT, BCRYPT, b"secret").await, PasswordAnswer::Right);
            assert_eq!(checks.check(CLIENT, BCRYPT, b"other").await, PasswordAnswer::Wrong);
        }
        let known = digest(&checks.secret, BCRYPT, b"secret");
        assert_eq!(checks.verdicts.lock().get(&known, checks.clock.mono()), Some(true));
        assert_eq!(checks.check(CLIENT, BCRYPT, &[b'x'; 257]).await, PasswordAnswer::Wrong);
        assert!(checks.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn client_has_a_few_places_and_others_are_checked_meanwhile() {
        let checks = PasswordChecks::new(Arc::new(RealClock::new()));
        let places: Vec<_> = (0..PER_CLIENT_MAX).map(|_| checks.place(CLIENT)).collect();
        assert!(places.iter().all(Option::is_some));
        assert_eq!(checks.check(CLIENT, BCRYPT, b"secret").await, PasswordAnswer::Busy);
        let other = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(checks.check(other, BCRYPT, b"secret").await, PasswordAnswer::Right);
        assert_eq!(checks.check(CLIENT, BCRYPT, b"secret").await, PasswordAnswer::Right, "known by now");
    }
}
