//! Names in the path of a request. Pure.

/// Whether a name or reference can be put into the path of a request unescaped.
pub(in crate::engine) fn fits_a_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    !text.is_empty()
        && text.chars().all(plain)
        && !text.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_path_refuses_what_would_change_the_request() {
        for good in ["users", "reg.io:5000/a/users:1.2", "users@sha256:aa", "sha256:aa", "users-9-a.2"] {
            assert!(fits_a_path(good), "{good}");
        }
        for bad in ["", "../containers", "a//b", "a?b", "a#b", "a b", "a%2e", "/a", "a/", "ü"] {
            assert!(!fits_a_path(bad), "{bad}");
        }
    }
}
