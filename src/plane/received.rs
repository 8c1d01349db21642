//! From the controller's frames to the table that a balancer serves from. Pure.

use std::sync::Arc;

use serde::Deserialize;

use super::delta::apply;
use super::message::ToBalancer;
use crate::model::{RoutingTable, TableName, TableRejection};

/// The newest table of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivedTable {
    Table(Arc<RoutingTable>),
    /// A table that this balancer cannot decode.
    Rejected(TableRejection),
}

/// What follows from a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Table(ReceivedTable),
    /// A delta to another table than the last one: the whole table is needed.
    OtherBase,
    Watch(bool),
}

/// Takes the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct TableReceiver {
    /// The base of the next delta.
    last: Option<Arc<RoutingTable>>,
}

impl TableReceiver {
    /// Takes the next frame. A table that cannot be decoded but names itself is rejected; the connection stays usable.
    ///
    /// # Errors
    /// The frame is no message.
    pub(super) fn take(&mut self, frame: &[u8]) -> Result<Received, serde_json::Error> {
        let message = match serde_json::from_slice(frame) {
            Ok(message) => message,
            Err(error) => {
                let Some(table) = name_of(frame) else { return Err(error) };
                self.last = None;
                let reason = format!("cannot decode it: {error}");
                return Ok(Received::Table(ReceivedTable::Rejected(TableRejection { table, reason })));
            }
        };
        let table = match message {
            ToBalancer::Table { table } => Some(table),
            ToBalancer::Delta { delta } => self.last.as_ref().and_then(|last| apply(last, delta)),
            ToBalancer::Watch { watched } => return Ok(Received::Watch(watched)),
        };
        self.last = table.map(Arc::new);
        Ok(match &self.last {
            Some(table) => Received::Table(ReceivedTable::Table(Arc::clone(table))),
            None => Received::OtherBase,
        })
    }
}

/// As much of a message as names its table.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum NamedMessage {
    Table { table: NamedTable },
    Delta { delta: NamedTable },
}

#[derive(Deserialize)]
struct NamedTable {
    name: TableName,
}

/// The name of the table in a message that cannot be decoded whole.
fn name_of(frame: &[u8]) -> Option<TableName> {
    match serde_json::from_slice(frame).ok()? {
        NamedMessage::Table { table } | NamedMessage::Delta { delta: table } => Some(table.name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::delta::diff;
    use super::*;
    use crate::model::TableService;
    use crate::model::arbitrary::table_name;

    fn table(revision: u64) -> RoutingTable {
        let service = (format!("s{revision}").as_str().into(), TableService::default());
        RoutingTable { services: [service].into(), ..RoutingTable::empty(table_name(revision)) }
    }

    fn whole(table: &RoutingTable) -> String {
        serde_json::to_string(&ToBalancer::Table { table: table.clone() }).unwrap()
    }

    fn delta(from: u64, to: u64) -> String {
        serde_json::to_string(&ToBalancer::Delta { delta: diff(&table(from), &table(to)) }).unwrap()
    }

    /// In a way that an older balancer has no word for.
    fn undecodable(frame: &str) -> String {
        let other = frame.replace("leastRequests", "newestFirst");
        assert_ne!(other, frame);
        other
    }

    fn accepted(revision: u64) -> Received {
        Received::Table(ReceivedTable::Table(Arc::new(table(revision))))
    }

    fn rejected(received: &Received) -> Option<(u64, &str)> {
        match received {
            Received::Table(ReceivedTable::Rejected(rejection)) => {
                Some((rejection.table.revision, &rejection.reason))
            }
            _ => None,
        }
    }

    #[test]
    fn deltas_follow_the_last_table_and_no_other() {
        let mut receiver = TableReceiver::default();
        assert_eq!(receiver.take(delta(1, 2).as_bytes()).unwrap(), Received::OtherBase);
        assert_eq!(receiver.take(whole(&table(1)).as_bytes()).unwrap(), accepted(1));
        assert_eq!(receiver.take(delta(1, 2).as_bytes()).unwrap(), accepted(2));
        assert_eq!(receiver.take(delta(1, 3).as_bytes()).unwrap(), Received::OtherBase);
        assert_eq!(receiver.take(whole(&table(3)).as_bytes()).unwrap(), accepted(3));
    }

    #[test]
    fn table_that_cannot_be_decoded_is_rejected_by_name_until_a_whole_one_follows() {
        let mut receiver = TableReceiver::default();
        for frame in [whole(&table(1)), delta(0, 1)] {
            let received = receiver.take(undecodable(&frame).as_bytes()).unwrap();
            let (revision, reason) = rejected(&received).unwrap();
            assert_eq!(revision, 1);
            assert!(reason.contains("newestFirst"), "{reason}");
        }
        assert_eq!(receiver.take(delta(1, 2).as_bytes()).unwrap(), Received::OtherBase);
        assert_eq!(receiver.take(whole(&table(2)).as_bytes()).unwrap(), accepted(2));
    }

    #[test]
    fn frame_that_names_no_table_is_an_error() {
        for frame in ["{", "{}", r#"{"table":{"table":{}}}"#, r#"{"unknown":{}}"#] {
            assert!(TableReceiver::default().take(frame.as_bytes()).is_err(), "{frame}");
        }
    }
}
