//! A process by its id and start time: the id alone may be another's by the time that it is used.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process that has been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessStamp {
    pub(super) pid: i32,
    /// In clock ticks since the machine started.
    started: u64,
}

impl ProcessStamp {
    /// The process of this id; `None` if there is none, or only a zombie.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the program may contain anything.
        let (_, fields) = text.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        // Field 22 of the line; the state is field 3.
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, started })
    }

    /// Whether the process runs.
    pub(super) fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_recognized_and_a_later_one_of_its_id_is_not() {
        let own = ProcessStamp::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.started > 0 && own.runs());
        assert!(!ProcessStamp { started: own.started + 1, ..own }.runs());
        assert_eq!(ProcessStamp::of(i32::MAX), None);
    }
}
