//! Passwords that were checked lately, with the result: a hash takes a tenth of a second, and browsers send the password with
//! every request. Pure.
//!
//! Neither password nor hash is kept, but a digest of both with a secret of this process.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::model::{Millis, Mono};

/// How long a right password is known. Another hash in the manifest counts at once: it is part of the digest.
const RIGHT_FOR: Millis = Millis::secs(300);
/// A client that repeats a wrong password costs one check in this time.
const WRONG_FOR: Millis = Millis::secs(10);
/// Most passwords that are known, of each kind: 100 KiB.
const KNOWN_MAX: usize = 1024;

/// Identifies a password together with the hash that it was compared with.
pub(super) type PasswordDigest = [u8; 32];

pub(super) fn digest(secret: &str, hash: &str, password: &[u8]) -> PasswordDigest {
    let mut digest = Sha256::new();
    for part in [secret.as_bytes(), hash.as_bytes(), password] {
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
    /// Whether the password is right; `None` if that is not known.
    pub(super) fn get(&self, digest: &PasswordDigest, now: Mono) -> Option<bool> {
        let is_known =
            |known: &HashMap<PasswordDigest, Mono>| known.get(digest).is_some_and(|until| now < *until);
        if is_known(&self.right) {
            return Some(true);
        }
        is_known(&self.wrong).then_some(false)
    }

    pub(super) fn put(&mut self, digest: PasswordDigest, is_right: bool, now: Mono) {
        let (known, lasts) =
            if is_right { (&mut self.right, RIGHT_FOR) } else { (&mut self.wrong, WRONG_FOR) };
        if known.len() >= KNOWN_MAX {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(digest, now.after(lasts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_depends_on_each_part() {
        let all =
            [digest("s", "h", b"p"), digest("t", "h", b"p"), digest("s", "hp", b""), digest("s", "h", b"q")];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(all[0], digest("s", "h", b"p"));
    }

    #[test]
    fn verdicts_lapse_and_wrong_ones_do_not_drive_out_right_ones() {
        let mut verdicts = PasswordVerdicts::default();
        let of = |n: u32| digest("s", "h", &n.to_le_bytes());
        verdicts.put(of(0), true, Mono(0));
        for n in 1..5_000 {
            verdicts.put(of(n), false, Mono(0));
        }
        assert_eq!(verdicts.get(&of(0), Mono(1)), Some(true));
        assert_eq!(verdicts.get(&of(4_999), Mono(1)), Some(false));
        assert!(verdicts.wrong.len() <= KNOWN_MAX);
        assert_eq!(verdicts.get(&of(4_999), Mono(10_000)), None);
        assert_eq!(verdicts.get(&of(0), Mono(299_999)), Some(true));
        assert_eq!(verdicts.get(&of(0), Mono(300_000)), None);
    }
}
