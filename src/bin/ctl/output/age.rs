//! Ages and durations for people. Pure.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `12s`, `2m`, `3h`, `5d`: the largest unit, rounded down. A time in the future counts as now.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    seconds(now.as_second() - then.as_second())
}

/// `2m ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", since(then, now))
}

/// The largest unit of a number of seconds, rounded down.
pub(crate) fn seconds(seconds: i64) -> String {
    match seconds.max(0) {
        s if s < MINUTE => format!("{s}s"),
        s if s < HOUR => format!("{}m", s / MINUTE),
        s if s < DAY => format!("{}h", s / HOUR),
        s => format!("{}d", s / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_uses_the_largest_unit_rounded_down() {
        for (given, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (86_399, "23h"),
            (86_400, "1d"),
        ] {
            assert_eq!(seconds(given), expected, "{given}");
        }
    }
}
