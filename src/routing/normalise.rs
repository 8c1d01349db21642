//! Host and path of a request in the form that is routed on and forwarded. Pure.
//!
//! Paths are normalised once; the balancer routes and forwards the same text, and rejects paths that upstreams could read
//! differently.

use std::borrow::Cow;

/// Why a host or path is refused. The text is shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// No leading `/`: `*`, or the authority of a CONNECT.
    #[error("the request target is not a path")]
    NotAPath,
    /// `%` without two hex digits.
    #[error("the path has an invalid percent-encoding")]
    Percent,
    /// A backslash or NUL, which upstreams read in different ways.
    #[error("the path has a backslash or NUL")]
    Hidden,
    /// `..%2Fx`, which upstreams that decode before they split take for a dot segment.
    #[error("the path has a dot segment next to an encoded slash")]
    HiddenDots,
    /// `..;x`, which some upstreams take for `..`.
    #[error("the path has a dot segment with parameters")]
    DotParameter,
    /// Not a host name or address with an optional port.
    #[error("the host is not a name or address with an optional port")]
    Host,
}

/// The path in the form that is routed on and forwarded: unreserved characters decoded, other encodings in upper case, dot
/// segments resolved. An encoded slash is a character of its segment and an empty segment is a segment, as services that put
/// names into paths rely on.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, BadTarget> {
    if !path.starts_with('/') {
        return Err(BadTarget::NotAPath);
    }
    let odd = path.bytes().any(|b| matches!(b, b'%' | b'\\')) || path.contains("/.");
    if !odd {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in decoded.split('/').skip(1) {
        ends_in_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            _ if is_dots_with_parameter(segment) => return Err(BadTarget::DotParameter),
            _ if has_hidden_dots(segment) => return Err(BadTarget::HiddenDots),
            _ => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_dots || normal.is_empty() {
        normal.push('/');
    }
    Ok(Cow::Owned(normal))
}

/// Whether a segment has dot segments for those who take `%2F` for a slash.
fn has_hidden_dots(segment: &str) -> bool {
    let mut parts = segment.split("%2F");
    segment.contains("%2F") && parts.any(|part| matches!(part, "." | "..") || is_dots_with_parameter(part))
}

fn decode_unreserved(path: &str) -> Result<String, BadTarget> {
    let mut pieces = path.split('%');
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or(BadTarget::Percent)?;
        match byte {
            b'\\' | 0 => return Err(BadTarget::Hidden),
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                decoded.push(char::from(byte));
            }
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        decoded.push_str(&piece[2..]);
    }
    if decoded.contains('\\') { Err(BadTarget::Hidden) } else { Ok(decoded) }
}

fn is_dots_with_parameter(segment: &str) -> bool {
    segment.split_once(';').is_some_and(|(name, _)| matches!(name, "." | ".."))
}

/// The host of an authority in lower case, without port and without the dot that ends a full name.
pub fn host_of(authority: &str) -> Result<Cow<'_, str>, BadTarget> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| BadTarget::Host)?;
            let end = address.len() + 2;
            (&authority[..end], port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_fine = port.strip_prefix(':').unwrap_or(port).bytes().all(|b| b.is_ascii_digit());
    let host_is_fine = host.starts_with('[') || (!host.is_empty() && host.bytes().all(is_host_byte));
    if !port_is_fine || !host_is_fine {
        return Err(BadTarget::Host);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let has_upper = host.bytes().any(|b| b.is_ascii_uppercase());
    Ok(if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        let rows = [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a//b///c", Ok("/a//b///c")),
            ("//a", Ok("//a")),
            ("/a/./b/.", Ok("/a/b/")),
            ("/a/../b", Ok("/b")),
            ("/a/b/..", Ok("/a/")),
            ("/../../etc", Ok("/etc")),
            ("/public/%2e%2e/admin", Ok("/admin")),
            ("/public/.%2E/admin", Ok("/admin")),
            ("/%41%7e%2d", Ok("/A~-")),
            ("/a%3ab%20c", Ok("/a%3Ab%20c")),
            ("/%252e%252e/x", Ok("/%252e%252e/x")),
            ("/.hidden/..x", Ok("/.hidden/..x")),
            ("/a;p=1", Ok("/a;p=1")),
            ("/a/", Ok("/a/")),
            ("/ä/%c3%a4", Ok("/ä/%C3%A4")),
            ("*", Err(BadTarget::NotAPath)),
            ("", Err(BadTarget::NotAPath)),
            ("a", Err(BadTarget::NotAPath)),
            ("/%", Err(BadTarget::Percent)),
            ("/%4", Err(BadTarget::Percent)),
            ("/%zz", Err(BadTarget::Percent)),
            ("/%+1", Err(BadTarget::Percent)),
            ("/%4ä", Err(BadTarget::Percent)),
            ("/a%2fb", Ok("/a%2Fb")),
            ("/a%5Cb", Err(BadTarget::Hidden)),
            ("/a\\b", Err(BadTarget::Hidden)),
            ("/a%00", Err(BadTarget::Hidden)),
            ("/a/..;/b", Err(BadTarget::DotParameter)),
            ("/a/%2e;x=1/b", Err(BadTarget::DotParameter)),
            ("/a/%2e%2e;/b", Err(BadTarget::DotParameter)),
            ("/..;", Err(BadTarget::DotParameter)),
            ("/%2F", Ok("/%2F")),
            ("/%2e%2e%2fadmin", Err(BadTarget::HiddenDots)),
            ("/a%2f..%2fadmin", Err(BadTarget::HiddenDots)),
            ("/a%2f%2e", Err(BadTarget::HiddenDots)),
            ("/a%2f..;x%2Fb", Err(BadTarget::HiddenDots)),
            ("/a%2f..b", Ok("/a%2F..b")),
            ("/a//../b", Ok("/a/b")),
            ("//../b", Ok("/b")),
            ("/a//", Ok("/a//")),
            ("/..%5cadmin", Err(BadTarget::Hidden)),
            ("/.\\admin", Err(BadTarget::Hidden)),
            ("/a%", Err(BadTarget::Percent)),
            ("/%u002e", Err(BadTarget::Percent)),
            ("/a%25%32%66b", Ok("/a%252fb")),
            ("/a%2525", Ok("/a%2525")),
            ("/...", Ok("/...")),
            ("/%2e", Ok("/")),
            ("/%2e%2e", Ok("/")),
            ("/a/%2e%2e%2e/b", Ok("/a/.../b")),
            ("/a/;x/../b", Ok("/a/b")),
            ("/%c0%af%c0%ae", Ok("/%C0%AF%C0%AE")),
            ("/a%3fb%23c", Ok("/a%3Fb%23c")),
        ];
        for (path, wanted) in rows {
            assert_eq!(normalise(path).as_deref(), wanted.as_deref(), "{path}");
        }
    }

    #[test]
    fn hosts_lose_case_port_and_final_dot() {
        let rows = [
            ("shop.localhost", Some("shop.localhost")),
            ("SHOP.localhost:8080", Some("shop.localhost")),
            ("shop.localhost.", Some("shop.localhost")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a_b:", Some("a_b")),
            ("", None),
            (":80", None),
            ("a:80:90", None),
            ("a:b", None),
            ("a b", None),
            ("user@a", None),
            ("a/b", None),
            ("[::1", None),
            ("[x]:1", None),
            ("[::1]x", None),
            ("ä", None),
        ];
        for (authority, wanted) in rows {
            assert_eq!(host_of(authority).ok().as_deref(), wanted, "{authority}");
        }
    }

    proptest! {
        #[test]
        fn normalised_path_is_normal(path in "(/|%2F|%2e|\\.|;|[ab]|%41|ä){0,12}") {
            if let Ok(normal) = normalise(&format!("/{path}")) {
                let again = normalise(&normal);
                prop_assert_eq!(again.as_deref(), Ok(&*normal));
            }
        }

        #[test]
        fn normalise_never_panics(path in ".{0,40}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
            }
        }
    }
}
