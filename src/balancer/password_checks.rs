//! Checks passwords on a thread of its own: a hash takes as long as thousands of requests, which must not wait for it.
//!
//! Invariants: the queue is bounded, and so are the places of one client in it, and equal passwords share a place. So a flood of
//! wrong passwords delays no request to a route without passwords and none whose password is known; one from many addresses can
//! fill the queue, and then passwords that are not known yet have to be sent again.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::client_limit::counted_as;
use super::password_verdicts::{PasswordDigest, PasswordVerdicts, ShownPassword, keyed_digest};
use crate::clock::Clock;
use crate::model::{PasswordHashForm, check_hash};

/// Most passwords that wait to be checked: sixteen seconds of work at the highest cost that is accepted. A check that no request waits for
/// any more, after [`CHECK_DEADLINE`], is not begun.
const QUEUE_MAX: usize = 64;
/// Most of one client: the requests of a browser at the same time share one, as they have the same password.
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
    /// Of this process; see [`keyed_digest`].
    secret: String,
    state: Arc<Mutex<CheckState>>,
    places: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// To the thread, which starts with the first check.
    jobs: Mutex<Option<SyncSender<CheckJob>>>,
}

#[derive(Default)]
struct CheckState {
    verdicts: PasswordVerdicts,
    /// The requests that wait for each check.
    waiting: HashMap<PasswordDigest, Vec<oneshot::Sender<bool>>>,
}

struct CheckJob {
    hash: String,
    password: Vec<u8>,
    is_own: bool,
    digest: PasswordDigest,
    /// Of the client that asked first; free once the check is done, also if the client has left.
    _place: QueuePlace,
}

/// A client's place in the queue.
struct QueuePlace {
    places: Arc<Mutex<HashMap<IpAddr, usize>>>,
    client: IpAddr,
}

impl PasswordChecks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            secret: clock.uuid(),
            state: Arc::default(),
            places: Arc::default(),
            jobs: Mutex::default(),
            clock,
        }
    }

    /// Whether a client's password is that of one of these users, who have hashes.
    ///
    /// A name that is no user takes as long: the time would tell users from others. Its password is compared with the hash of one
    /// of the users, always the same one for the same name.
    pub(super) async fn check(
        &self,
        client: IpAddr,
        users: &BTreeMap<String, String>,
        user: &str,
        password: &[u8],
    ) -> PasswordAnswer {
        let own = users.get(user);
        let Some(hash) = own.or_else(|| self.hash_for_stranger(users, user)) else {
            return PasswordAnswer::Wrong;
        };
        if password.len() > PASSWORD_MAX_BYTES {
            return PasswordAnswer::Wrong;
        }
        let answered = match self.ask(client, &ShownPassword { user, password, hash, is_own: own.is_some() })
        {
            Ok(answered) => answered,
            Err(answer) => return answer,
        };
        match tokio::time::timeout(CHECK_DEADLINE, answered).await {
            Ok(Ok(is_right)) => answer(is_right),
            Ok(Err(_)) | Err(_) => PasswordAnswer::Busy,
        }
    }

    /// Chosen by a digest that no client can compute. The first hash for all would show them by the time that it takes.
    fn hash_for_stranger<'a>(&self, users: &'a BTreeMap<String, String>, user: &str) -> Option<&'a String> {
        let digest = keyed_digest(&self.secret, &[user.as_bytes()]);
        let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte));
        users.values().nth(number.checked_rem(users.len())?)
    }

    /// Joins a check of the same password, or starts one; an answer, if it is known, or cannot be found out.
    fn ask(
        &self,
        client: IpAddr,
        shown: &ShownPassword<'_>,
    ) -> Result<oneshot::Receiver<bool>, PasswordAnswer> {
        let digest = shown.digest(&self.secret);
        let mut state = self.state.lock();
        if let Some(is_right) = state.verdicts.get(&digest, self.clock.mono()) {
            return Err(answer(is_right));
        }
        let (sender, answered) = oneshot::channel();
        if let Some(waiting) = state.waiting.get_mut(&digest) {
            waiting.push(sender);
            return Ok(answered);
        }
        let place = self.place(client).ok_or(PasswordAnswer::Busy)?;
        let job = CheckJob {
            hash: shown.hash.to_owned(),
            password: shown.password.to_vec(),
            is_own: shown.is_own,
            digest,
            _place: place,
        };
        if !self.send(job) {
            return Err(PasswordAnswer::Busy);
        }
        // the thread looks for them under the same lock
        state.waiting.insert(digest, vec![sender]);
        Ok(answered)
    }

    fn place(&self, client: IpAddr) -> Option<QueuePlace> {
        let client = counted_as(client);
        let mut places = self.places.lock();
        let count = places.entry(client).or_default();
        if *count >= PER_CLIENT_MAX {
            return None;
        }
        *count += 1;
        Some(QueuePlace { places: Arc::clone(&self.places), client })
    }

    /// Whether there was room in the queue.
    fn send(&self, job: CheckJob) -> bool {
        let mut jobs = self.jobs.lock();
        if jobs.is_none() {
            let (sender, receiver) = sync_channel(QUEUE_MAX);
            let state = Arc::clone(&self.state);
            let clock = Arc::clone(&self.clock);
            let thread = std::thread::Builder::new().name("passwords".to_owned());
            match thread.spawn(move || run(&receiver, &state, &*clock)) {
                Ok(_) => *jobs = Some(sender),
                Err(error) => tracing::warn!(%error, "cannot start the thread that checks passwords"),
            }
        }
        jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }
}

impl CheckState {
    /// Whether a request still waits for this check; forgets those that were given up.
    fn is_wanted(&mut self, digest: &PasswordDigest) -> bool {
        let is_wanted = self.waiting.get(digest).is_some_and(|all| all.iter().any(|one| !one.is_closed()));
        if !is_wanted {
            self.waiting.remove(digest);
        }
        is_wanted
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        if let Some(count) = places.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                places.remove(&self.client);
            }
        }
    }
}

fn answer(is_right: bool) -> PasswordAnswer {
    if is_right { PasswordAnswer::Right } else { PasswordAnswer::Wrong }
}

/// Checks until no one can ask any more.
fn run(jobs: &Receiver<CheckJob>, state: &Mutex<CheckState>, clock: &dyn Clock) {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of the thread that checks passwords");
    }
    while let Ok(job) = jobs.recv() {
        if !state.lock().is_wanted(&job.digest) {
            continue;
        }
        // a panic over one hash must not end the checks of all others
        let verified = std::panic::catch_unwind(|| verify(&job.hash, &job.password));
        if verified.is_err() {
            tracing::error!("checking a password failed; it counts as wrong");
        }
        // both take the same time
        let is_right = verified.unwrap_or(false) && job.is_own;
        let waiting = {
            let mut state = state.lock();
            state.verdicts.put(job.digest, is_right, clock.mono());
            state.waiting.remove(&job.digest)
        };
        // a client that gets its answer may ask for something else at once
        drop(job);
        for request in waiting.into_iter().flatten() {
            // the client may leave at any time
            let _ = request.send(is_right);
        }
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

    fn users(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(user, hash)| ((*user).to_owned(), (*hash).to_owned())).collect()
    }

    fn checks() -> PasswordChecks {
        PasswordChecks::new(Arc::new(RealClock::new()))
    }

    /// What is known of a password, without a check.
    fn known(checks: &PasswordChecks, user: &str, password: &[u8], hash: &str, is_own: bool) -> Option<bool> {
        let digest = ShownPassword { user, password, hash, is_own }.digest(&checks.secret);
        checks.state.lock().verdicts.get(&digest, checks.clock.mono())
    }

    /// The queue, which no thread empties.
    fn held(checks: &PasswordChecks) -> Receiver<CheckJob> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        *checks.jobs.lock() = Some(sender);
        receiver
    }

    #[tokio::test]
    async fn answer_is_known_the_second_time_and_long_passwords_are_wrong() {
        let (checks, anna) = (checks(), users(&[("anna", BCRYPT)]));
        for _ in 0..2 {
            assert_eq!(checks.check(CLIENT, &anna, "anna", b"secret").await, PasswordAnswer::Right);
            assert_eq!(checks.check(CLIENT, &anna, "anna", b"other").await, PasswordAnswer::Wrong);
        }
        assert_eq!(known(&checks, "anna", b"secret", BCRYPT, true), Some(true));
        assert_eq!(checks.check(CLIENT, &anna, "anna", &[b'x'; 257]).await, PasswordAnswer::Wrong);
        assert_eq!(checks.check(CLIENT, &users(&[]), "anna", b"secret").await, PasswordAnswer::Wrong);
        assert!(checks.places.lock().is_empty() && checks.state.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn name_that_is_no_user_is_checked_and_always_wrong() {
        let checks = checks();
        let (anna, both) = (users(&[("anna", BCRYPT)]), users(&[("anna", BCRYPT), ("berta", BCRYPT)]));
        assert_eq!(checks.check(CLIENT, &anna, "berta", b"secret").await, PasswordAnswer::Wrong);
        assert_eq!(known(&checks, "berta", b"secret", BCRYPT, false), Some(false), "it was compared");
        // of another route, where she is one
        assert_eq!(checks.check(CLIENT, &both, "berta", b"secret").await, PasswordAnswer::Right);
        assert_eq!(checks.check(CLIENT, &anna, "berta", b"secret").await, PasswordAnswer::Wrong);
    }

    #[test]
    fn names_that_are_no_users_are_spread_over_the_hashes() {
        let checks = checks();
        let three = users(&[("a", BCRYPT), ("b", SHA_256), ("c", SHA_512)]);
        let of = |n: u32| checks.hash_for_stranger(&three, &format!("x{n}")).unwrap();
        for hash in [BCRYPT, SHA_256, SHA_512] {
            assert!((0..200).any(|n| of(n) == hash), "{hash}");
        }
        assert!((0..200).all(|n| of(n) == of(n)));
    }

    #[tokio::test]
    async fn equal_checks_share_one_check_and_one_place() {
        let (checks, anna) = (checks(), users(&[("anna", BCRYPT)]));
        let jobs = held(&checks);
        let requests = (0..40).map(|_| checks.check(CLIENT, &anna, "anna", b"secret"));
        let all = futures::future::join_all(requests);
        let answering = async {
            // all of them have asked by now
            tokio::task::yield_now().await;
            assert_eq!(checks.places.lock().get(&CLIENT), Some(&1));
            assert_eq!(checks.state.lock().waiting.values().map(Vec::len).collect::<Vec<_>>(), [40]);
            let state = Arc::clone(&checks.state);
            *checks.jobs.lock() = None;
            std::thread::spawn(move || run(&jobs, &state, &RealClock::new()));
        };
        let (answers, ()) = tokio::join!(all, answering);
        assert_eq!(answers, vec![PasswordAnswer::Right; 40]);
        assert!(checks.places.lock().is_empty() && checks.state.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn check_goes_on_for_others_if_who_asked_first_leaves_and_is_left_out_if_all_do() {
        let (checks, anna) = (checks(), users(&[("anna", BCRYPT)]));
        let jobs = held(&checks);
        let shown =
            |password: &'static [u8]| ShownPassword { user: "anna", password, hash: BCRYPT, is_own: true };
        drop(checks.ask(CLIENT, &shown(b"secret")));
        let stays = checks.ask(CLIENT, &shown(b"secret")).unwrap();
        drop(checks.ask(CLIENT, &shown(b"given up")));
        assert_eq!(checks.places.lock().get(&CLIENT), Some(&2), "a check that waits keeps its place");
        *checks.jobs.lock() = None;
        run(&jobs, &checks.state, &*checks.clock);
        assert_eq!(stays.await, Ok(true));
        assert_eq!(known(&checks, "anna", b"given up", BCRYPT, true), None);
        assert!(checks.places.lock().is_empty() && checks.state.lock().waiting.is_empty());
        assert_eq!(checks.check(CLIENT, &anna, "anna", b"given up").await, PasswordAnswer::Wrong);
    }

    #[tokio::test]
    async fn client_has_a_few_places_and_others_are_checked_meanwhile() {
        let (checks, anna) = (checks(), users(&[("anna", BCRYPT)]));
        let places: Vec<_> = (0..PER_CLIENT_MAX).map(|_| checks.place(CLIENT)).collect();
        assert!(places.iter().all(Option::is_some));
        assert_eq!(checks.check(CLIENT, &anna, "anna", b"secret").await, PasswordAnswer::Busy);
        let other = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(checks.check(other, &anna, "anna", b"secret").await, PasswordAnswer::Right);
        assert_eq!(
            checks.check(CLIENT, &anna, "anna", b"secret").await,
            PasswordAnswer::Right,
            "known by now"
        );
    }
}
