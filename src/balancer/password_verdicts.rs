//! Passwords that were checked lately, with the result: a hash takes a tenth of a second, and browsers send the password with
//! every request. Pure.
//!
//! Neither name, password nor hash is kept, but a digest of them with a secret of this process.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::model::{Millis, Mono};

/// How long a right password is known after its last use. Another hash in the manifest counts at once: it is part of the digest.
const RIGHT_FOR: Millis = Millis::secs(300);
/// A client that repeats a wrong password costs one check in this time.
const WRONG_FOR: Millis = Millis::secs(10);
/// Most passwords that are known, of each kind: 100 KiB.
const KNOWN_MAX: usize = 1024;

/// Identifies a user and a password together with the hash that the password was compared with.
pub(super) type PasswordDigest = [u8; 32];

/// What a request shows, and the hash that it is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownPassword<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a [u8],
    pub(super) hash: &'a str,
    /// Whether the hash is this user's. That of someone else is for a name that is no user, whose every password is wrong.
    pub(super) is_own: bool,
}

impl ShownPassword<'_> {
    /// Depends on every part: a name may be a user of one route and none of another.
    pub(super) fn digest(&self, secret: &str) -> PasswordDigest {
        let Self { user, password, hash, is_own } = *self;
        keyed_digest(secret, &[user.as_bytes(), hash.as_bytes(), password, &[u8::from(is_own)]])
    }
}

/// A digest of these parts that only this process can compute.
pub(super) fn keyed_digest(secret: &str, parts: &[&[u8]]) -> PasswordDigest {
    let mut digest = Sha256::new();
    for part in std::iter::once(secret.as_bytes()).chain(parts.iter().copied()) {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The wrong ones have places of their own: a flood of them cannot drive out the right ones.
#[derive(Debug, Default)]
pub(super) struct PasswordVerdicts {
    right: HashMap<PasswordDigest, Mono>,
    wrong: HashMap<PasswordDigest, Mono>,
}

impl PasswordVerdicts {
    /// Whether the password is right; `None` if that is not known. A right one that is used is known for longer, so that the requests
    /// of a client never wait for a second check.
    pub(super) fn get(&mut self, digest: &PasswordDigest, now: Mono) -> Option<bool> {
        if let Some(until) = self.right.get_mut(digest).filter(|until| now < **until) {
            *until = now.after(RIGHT_FOR);
            return Some(true);
        }
        self.wrong.get(digest).is_some_and(|until| now < *until).then_some(false)
    }

    pub(super) fn put(&mut self, digest: PasswordDigest, is_right: bool, now: Mono) {
        let (known, lasts) =
            if is_right { (&mut self.right, RIGHT_FOR) } else { (&mut self.wrong, WRONG_FOR) };
        if known.len() >= KNOWN_MAX {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= KNOWN_MAX
            && let Some(first) = known.iter().min_by_key(|(_, until)| **until).map(|(first, _)| *first)
        {
            known.remove(&first);
        }
        known.insert(digest, now.after(lasts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(secret: &str, [user, hash, password]: [&str; 3], is_own: bool) -> PasswordDigest {
        ShownPassword { user, password: password.as_bytes(), hash, is_own }.digest(secret)
    }

    #[test]
    fn digest_depends_on_each_part() {
        let all = [
            digest("s", ["u", "h", "p"], true),
            digest("t", ["u", "h", "p"], true),
            digest("s", ["v", "h", "p"], true),
            digest("s", ["u", "hp", ""], true),
            digest("s", ["uh", "", "p"], true),
            digest("s", ["u", "h", "q"], true),
            digest("s", ["u", "h", "p"], false),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(all[0], digest("s", ["u", "h", "p"], true));
    }

    fn of(n: u32) -> PasswordDigest {
        keyed_digest("s", &[&n.to_le_bytes()])
    }

    #[test]
    fn verdicts_lapse_and_wrong_ones_do_not_drive_out_right_ones() {
        let mut verdicts = PasswordVerdicts::default();
        verdicts.put(of(0), true, Mono(0));
        for n in 1..5_000 {
            verdicts.put(of(n), false, Mono(0));
        }
        assert_eq!(verdicts.get(&of(4_999), Mono(1)), Some(false));
        assert!(verdicts.wrong.len() <= KNOWN_MAX);
        assert_eq!(verdicts.get(&of(4_999), Mono(10_000)), None);
        assert_eq!(verdicts.get(&of(0), Mono(299_999)), Some(true));
    }

    #[test]
    fn right_verdict_lasts_while_it_is_used_and_a_wrong_one_does_not() {
        let mut verdicts = PasswordVerdicts::default();
        verdicts.put(of(0), true, Mono(0));
        verdicts.put(of(1), false, Mono(0));
        for minute in 1..60 {
            assert_eq!(verdicts.get(&of(0), Mono(minute * 60_000)), Some(true), "{minute}");
        }
        assert_eq!(verdicts.get(&of(0), Mono(59 * 60_000 + 300_000)), None, "not used for five minutes");
        assert_eq!(verdicts.get(&of(1), Mono(9_999)), Some(false));
        assert_eq!(verdicts.get(&of(1), Mono(10_000)), None);
    }

    #[test]
    fn one_right_password_too_many_drives_out_the_one_that_was_not_used_longest() {
        let mut verdicts = PasswordVerdicts::default();
        for n in 0..1024 {
            verdicts.put(of(n), true, Mono(n.into()));
        }
        assert_eq!(verdicts.get(&of(0), Mono(2_000)), Some(true));
        verdicts.put(of(5_000), true, Mono(2_000));
        let known = [of(0), of(1), of(2), of(5_000)].map(|digest| verdicts.get(&digest, Mono(2_001)));
        assert_eq!(known, [Some(true), None, Some(true), Some(true)]);
        assert_eq!(verdicts.right.len(), KNOWN_MAX);
    }
}
