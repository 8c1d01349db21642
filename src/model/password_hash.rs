//! Forms of password hashes that a manifest may have. Pure.

/// Highest cost of bcrypt: 12 takes a quarter of a second, and every further one twice as long.
pub const BCRYPT_COST_MAX: u32 = 12;
/// Most rounds of SHA-crypt: a tenth of a second.
pub const SHA_CRYPT_ROUNDS_MAX: u32 = 100_000;

/// A hash in a form that is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordHashForm {
    Bcrypt,
    Sha256Crypt,
    Sha512Crypt,
}

/// Why a text is refused as the hash of a password. It is not shown: it may be the password itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPasswordHash {
    #[error(
        "expected a hash made by `htpasswd -nbB USER PASSWORD` (bcrypt) or `openssl passwd -6` (SHA-crypt)"
    )]
    Form,
    #[error("{0} hashes are too weak: make one with `htpasswd -nbB USER PASSWORD` or `openssl passwd -6`")]
    Weak(&'static str),
    #[error("expected the hash alone: remove the user and `:` in front of it")]
    WithUser,
    #[error("cost {0}; expected 4 to {BCRYPT_COST_MAX}, or every login takes seconds")]
    Cost(u32),
    #[error("{0} rounds; expected 1000 to {SHA_CRYPT_ROUNDS_MAX}, or every login takes seconds")]
    Rounds(u32),
}

/// The form of a password's hash.
///
/// # Errors
/// If it has none that is verified.
pub fn check_hash(hash: &str) -> Result<PasswordHashForm, BadPasswordHash> {
    for (start, name) in [("$apr1$", "`$apr1$` (MD5)"), ("$1$", "`$1$` (MD5)"), ("{SHA}", "`{SHA}` (SHA-1)")]
    {
        if hash.starts_with(start) {
            return Err(BadPasswordHash::Weak(name));
        }
    }
    if hash.split_once(':').is_some_and(|(_, rest)| rest.starts_with('$')) {
        return Err(BadPasswordHash::WithUser);
    }
    let mut parts = hash.strip_prefix('$').ok_or(BadPasswordHash::Form)?.split('$');
    match parts.next() {
        Some("2a" | "2b" | "2y") => check_bcrypt(parts),
        Some("5") => check_sha_crypt(parts, 43).map(|()| PasswordHashForm::Sha256Crypt),
        Some("6") => check_sha_crypt(parts, 86).map(|()| PasswordHashForm::Sha512Crypt),
        _ => Err(BadPasswordHash::Form),
    }
}

/// Cost, then salt and digest in one part of 53 characters.
fn check_bcrypt<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<PasswordHashForm, BadPasswordHash> {
    let cost = parts.next().filter(|cost| cost.len() == 2).and_then(number).ok_or(BadPasswordHash::Form)?;
    let rest = parts.next().filter(|rest| rest.len() == 53 && is_crypt_text(rest));
    if rest.is_none() || parts.next().is_some() {
        return Err(BadPasswordHash::Form);
    }
    if (4..=BCRYPT_COST_MAX).contains(&cost) {
        Ok(PasswordHashForm::Bcrypt)
    } else {
        Err(BadPasswordHash::Cost(cost))
    }
}

/// Rounds if they are not the default, salt, digest.
fn check_sha_crypt<'a>(
    parts: impl Iterator<Item = &'a str>,
    digest_length: usize,
) -> Result<(), BadPasswordHash> {
    let parts: Vec<&str> = parts.collect();
    let (rounds, salt, digest) = match parts.as_slice() {
        [salt, digest] => (None, *salt, *digest),
        [rounds, salt, digest] => (Some(*rounds), *salt, *digest),
        _ => return Err(BadPasswordHash::Form),
    };
    let are_sound = is_crypt_text(salt) && salt.len() <= 16 && is_crypt_text(digest);
    if !are_sound || salt.is_empty() || digest.len() != digest_length {
        return Err(BadPasswordHash::Form);
    }
    let Some(rounds) = rounds else { return Ok(()) };
    let rounds = rounds.strip_prefix("rounds=").and_then(number).ok_or(BadPasswordHash::Form)?;
    if (1000..=SHA_CRYPT_ROUNDS_MAX).contains(&rounds) {
        Ok(())
    } else {
        Err(BadPasswordHash::Rounds(rounds))
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_crypt_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_forms_are_recognised_and_weak_ones_named() {
        let digest = |length: usize| "a".repeat(length);
        let rows = [
            (format!("$2y$10${}", digest(53)), Ok(PasswordHashForm::Bcrypt)),
            (format!("$2b$13${}", digest(53)), Err(BadPasswordHash::Cost(13))),
            (format!("$2b$10${}", digest(52)), Err(BadPasswordHash::Form)),
            (format!("$6$salt${}", digest(86)), Ok(PasswordHashForm::Sha512Crypt)),
            (format!("$5$rounds=5000$salt${}", digest(43)), Ok(PasswordHashForm::Sha256Crypt)),
            (format!("$5$rounds=200000$salt${}", digest(43)), Err(BadPasswordHash::Rounds(200_000))),
            (format!("$5$rounds=999$salt${}", digest(43)), Err(BadPasswordHash::Rounds(999))),
            (format!("$6$salt${}", digest(43)), Err(BadPasswordHash::Form)),
            ("$apr1$x$y".into(), Err(BadPasswordHash::Weak("`$apr1$` (MD5)"))),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".into(), Err(BadPasswordHash::Weak("`{SHA}` (SHA-1)"))),
            (format!("anna:$2y$10${}", digest(53)), Err(BadPasswordHash::WithUser)),
            ("secret".into(), Err(BadPasswordHash::Form)),
            (String::new(), Err(BadPasswordHash::Form)),
        ];
        for (hash, wanted) in rows {
            assert_eq!(check_hash(&hash), wanted, "{hash}");
        }
    }
}
