//! Starts the agent's reads of the Engine: full listings when they are due, single containers when an event names them.

use super::observe::EngineListing;
use super::run::Agent;
use super::task::TaskReport;
use crate::model::ContainerId;

impl Agent {
    /// Starts a full listing if one is due, and inspects what events name.
    pub(super) fn start_listings(&mut self) {
        if self.watch.start_listing(self.clock.mono()) {
            let engine = self.engine.clone();
            let tick = self.watch.ticks.next();
            let with_info = !self.watch.availability.answers();
            self.tasks.spawn(async move {
                let listing = EngineListing::take(&*engine, with_info).await.map(Box::new);
                TaskReport::Listed { tick, listing }
            });
        }
        for id in self.watch.take_inspections(&self.busy) {
            self.inspect(id);
        }
    }

    pub(super) fn inspect(&mut self, id: ContainerId) {
        let engine = self.engine.clone();
        let tick = self.watch.ticks.next();
        self.tasks.spawn(async move {
            let found = engine.inspect(&id).await.map(Box::new);
            TaskReport::Inspected { tick, id, found }
        });
    }
}
