//! Which table a balancer may acknowledge. Pure.
//!
//! A table is acknowledged once every thread has taken it and its file is in place. Whether the endpoints that it lacks
//! have drained is up to the reader of the report: their requests in flight are counted after the acknowledgement.

use std::sync::Arc;

use crate::model::{RoutingTable, TableName, TableRejection};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Acknowledgement {
    /// The table that all threads have taken, from the controller or from this boot's file.
    served: Option<Arc<RoutingTable>>,
    /// The table whose file is being written.
    saving: Option<TableName>,
    acknowledged: Option<TableName>,
    rejected: Option<TableRejection>,
    /// The first table that the controller sent: its newest one when it sent it.
    first_offered: Option<TableName>,
}

impl Acknowledgement {
    pub(super) fn acknowledged(&self) -> Option<&TableName> {
        self.acknowledged.as_ref()
    }

    pub(super) fn rejected(&self) -> Option<&TableRejection> {
        self.rejected.as_ref()
    }

    /// Whether there is a table that all threads have taken.
    pub(super) fn is_serving(&self) -> bool {
        self.served.is_some()
    }

    /// Whether a table that the controller has sent is acknowledged. The newest one need not be: while tables change all the time,
    /// there is always one that is not.
    pub(super) fn is_in_sync(&self) -> bool {
        let Some(first) = &self.first_offered else { return false };
        self.acknowledged.as_ref().is_some_and(|acknowledged| acknowledged.covers(first))
    }

    /// The controller has sent this table.
    pub(super) fn offered(&mut self, table: &TableName) {
        // another controller's tables are counted from the beginning
        if !self.first_offered.as_ref().is_some_and(|first| table.covers(first)) {
            self.first_offered = Some(table.clone());
        }
    }

    /// Whether a table from the controller is to be installed: it is not older than the one that is served.
    pub(super) fn accepts(&self, offered: &TableName) -> bool {
        !self.served.as_ref().is_some_and(|served| served.name.covers(offered))
    }

    /// All threads have taken the table.
    pub(super) fn taken(&mut self, table: Arc<RoutingTable>) {
        self.served = Some(table);
    }

    /// The table cannot be served from.
    pub(super) fn reject(&mut self, table: TableName, reason: String) {
        self.rejected = Some(TableRejection { table, reason });
    }

    /// All threads have taken the table, which came from its file.
    pub(super) fn restored(&mut self, table: Arc<RoutingTable>) {
        self.acknowledged = Some(table.name.clone());
        self.served = Some(table);
    }

    /// The table to write to the file now: the one that is served, unless its file is in place or another one is being
    /// written.
    pub(super) fn begin_save(&mut self) -> Option<Arc<RoutingTable>> {
        let served = self.served.as_ref()?;
        if self.saving.is_some() || self.acknowledged.as_ref() == Some(&served.name) {
            return None;
        }
        self.saving = Some(served.name.clone());
        Some(Arc::clone(served))
    }

    /// The file that was being written is in place: the table is acknowledged.
    pub(super) fn saved(&mut self) {
        let Some(table) = self.saving.take() else { return };
        // the rejection of a later table stays
        let is_later =
            |rejected: &TableRejection| rejected.table.epoch >= table.epoch && !table.covers(&rejected.table);
        self.rejected = self.rejected.take().filter(is_later);
        self.acknowledged = Some(table);
    }

    /// The file could not be written: the table is served, but not acknowledged.
    pub(super) fn save_failed(&mut self, reason: String) {
        if let Some(table) = self.saving.take() {
            self.reject(table, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Epoch;

    fn name(epoch: u64, revision: u64) -> TableName {
        TableName { store: "s".into(), epoch: Epoch(epoch), revision }
    }

    fn table(name: TableName) -> Arc<RoutingTable> {
        Arc::new(RoutingTable::empty(name))
    }

    /// Runs a script, and returns the state after each step. Steps: `taken TABLE`, `reject TABLE`, `restored TABLE`, `save`,
    /// `saved`, `failed`. A table is `EPOCH.REVISION`.
    fn run(script: &[&str]) -> Vec<String> {
        let mut state = Acknowledgement::default();
        let parse = |text: &str| {
            let (epoch, revision) = text.split_once('.').unwrap();
            name(epoch.parse().unwrap(), revision.parse().unwrap())
        };
        let show = |name: Option<&TableName>| match name {
            Some(name) => format!("{}.{}", name.epoch, name.revision),
            None => "-".to_owned(),
        };
        let mut lines = Vec::new();
        for step in script {
            let words: Vec<&str> = step.split(' ').collect();
            match words.as_slice() {
                ["taken", name] => state.taken(table(parse(name))),
                ["reject", name] => state.reject(parse(name), "bad".to_owned()),
                ["restored", name] => state.restored(table(parse(name))),
                ["save"] => drop(state.begin_save()),
                ["saved"] => state.saved(),
                ["failed"] => state.save_failed("disk full".to_owned()),
                other => panic!("{other:?}"),
            }
            let rejected = state.rejected().map(|rejected| &rejected.table);
            lines.push(format!(
                "{step}: served {}, saving {}, acknowledged {}, rejected {}",
                show(state.served.as_ref().map(|table| &table.name)),
                show(state.saving.as_ref()),
                show(state.acknowledged()),
                show(rejected),
            ));
        }
        lines
    }

    #[test]
    fn table_is_acknowledged_after_all_threads_took_it_and_its_file_is_in_place() {
        let states = run(&["save", "taken 1.1", "save", "saved", "save"]);
        assert_eq!(
            states,
            [
                "save: served -, saving -, acknowledged -, rejected -",
                "taken 1.1: served 1.1, saving -, acknowledged -, rejected -",
                "save: served 1.1, saving 1.1, acknowledged -, rejected -",
                "saved: served 1.1, saving -, acknowledged 1.1, rejected -",
                "save: served 1.1, saving -, acknowledged 1.1, rejected -",
            ]
        );
    }

    #[test]
    fn table_that_came_during_a_save_is_saved_next() {
        let states = run(&["taken 1.1", "save", "taken 1.2", "save", "saved", "save"]);
        assert_eq!(
            states[3..],
            [
                "save: served 1.2, saving 1.1, acknowledged -, rejected -",
                "saved: served 1.2, saving -, acknowledged 1.1, rejected -",
                "save: served 1.2, saving 1.2, acknowledged 1.1, rejected -",
            ]
        );
    }

    #[test]
    fn table_without_a_file_is_served_and_not_acknowledged_until_a_save_succeeds() {
        let states = run(&["taken 1.1", "save", "failed", "save", "saved"]);
        assert_eq!(
            states[2..],
            [
                "failed: served 1.1, saving -, acknowledged -, rejected 1.1",
                "save: served 1.1, saving 1.1, acknowledged -, rejected 1.1",
                "saved: served 1.1, saving -, acknowledged 1.1, rejected -",
            ]
        );
    }

    #[test]
    fn rejection_stays_until_a_later_table_is_acknowledged() {
        let states = run(&["taken 1.1", "save", "reject 1.2", "saved", "taken 1.3", "save", "saved"]);
        assert_eq!(states[3], "saved: served 1.1, saving -, acknowledged 1.1, rejected 1.2");
        assert_eq!(states[6], "saved: served 1.3, saving -, acknowledged 1.3, rejected -");
    }

    #[test]
    fn restored_table_is_acknowledged_without_a_save() {
        let states = run(&["restored 1.4", "save"]);
        assert_eq!(states[1], "save: served 1.4, saving -, acknowledged 1.4, rejected -");
    }

    #[test]
    fn balancer_is_in_sync_once_a_table_of_the_controller_is_acknowledged_also_while_more_come() {
        let mut state = Acknowledgement::default();
        state.restored(table(name(1, 9)));
        assert!(!state.is_in_sync(), "no controller has sent any");
        for revision in 1..=3 {
            state.offered(&name(2, revision));
            state.taken(table(name(2, revision)));
            state.begin_save();
            assert!(!state.is_in_sync(), "none is saved");
        }
        state.saved();
        for revision in 4..=6 {
            state.offered(&name(2, revision));
            assert!(state.is_in_sync(), "there is always a newer one");
        }
        state.offered(&name(3, 1));
        assert!(!state.is_in_sync(), "another controller");
        state.restored(table(name(3, 1)));
        assert!(state.is_in_sync(), "the same table came from the file");
    }

    #[test]
    fn served_or_older_table_is_not_accepted() {
        let mut state = Acknowledgement::default();
        assert!(state.accepts(&name(1, 1)));
        state.taken(table(name(1, 2)));
        assert!(!state.accepts(&name(1, 1)) && !state.accepts(&name(1, 2)));
        assert!(state.accepts(&name(1, 3)) && state.accepts(&name(2, 1)), "later, or of another epoch");
    }
}
