//! The Date header of responses whose endpoint has none (RFC 9110, section 6.6.1).

use std::cell::{Cell, RefCell};

use http::header::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// The header's value, made once a second.
pub(in crate::balancer) struct DateHeader {
    second: Cell<i64>,
    value: RefCell<HeaderValue>,
}

impl Default for DateHeader {
    fn default() -> Self {
        Self { second: Cell::new(0), value: RefCell::new(text(Timestamp::UNIX_EPOCH)) }
    }
}

impl DateHeader {
    pub(super) fn at(&self, now: Timestamp) -> HeaderValue {
        if self.second.replace(now.as_second()) != now.as_second() {
            self.value.replace(text(now));
        }
        self.value.borrow().clone()
    }
}

fn text(now: Timestamp) -> HeaderValue {
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok();
    let value = text.and_then(|text| HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok());
    // only years beyond 9999 have no text
    value.unwrap_or_else(|| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_header_is_made_once_a_second() {
        let header = DateHeader::default();
        let at = |millis| header.at(Timestamp::from_millisecond(millis).unwrap());
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(1_795_910_400_000), "Sun, 29 Nov 2026 00:00:00 GMT");
        assert_eq!(at(1_795_910_400_999), "Sun, 29 Nov 2026 00:00:00 GMT");
        assert_eq!(at(1_795_910_401_000), "Sun, 29 Nov 2026 00:00:01 GMT");
    }
}
