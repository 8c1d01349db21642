//! The signal that ended a process, from its exit code. Pure.

/// Docker reports a process that a signal has ended with this much more than the signal's number.
const SIGNALLED: i64 = 128;

/// Signals that end processes, with their numbers on Linux.
const ENDING_SIGNALS: [(i64, &str); 17] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (31, "SIGSYS"),
];

/// The signal that ended a process with this exit code. A program may also exit with such a code, as shells do for a child.
pub fn signal_of(code: i64) -> Option<&'static str> {
    let number = code.checked_sub(SIGNALLED)?;
    ENDING_SIGNALS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_of_names_the_signal_of_a_code_above_128() {
        let rows = [
            (0, None),
            (1, None),
            (9, None),
            (127, None),
            (128, None),
            (134, Some("SIGABRT")),
            (137, Some("SIGKILL")),
            (139, Some("SIGSEGV")),
            (143, Some("SIGTERM")),
            (255, None),
            (i64::MIN, None),
        ];
        for (code, expected) in rows {
            assert_eq!(signal_of(code), expected, "{code}");
        }
    }
}
