//! When the agent looks at the Engine: fully now and then, at single containers when a hint names them.

use super::observe::Look;
use super::report::Report;
use super::run::Agent;
use super::view::Subject;
use crate::model::{ContainerId, Millis};

impl Agent {
    /// Starts a full look if one is due, and inspects what hints name.
    pub(super) fn start_looks(&mut self) {
        let now = self.clock.mono();
        let asked = self.hints.take_look();
        if asked && self.looking {
            // The look under way began before whatever asked for this one.
            self.hints.look_at_all();
        } else if !self.looking
            && self.availability.may_look(now)
            && (asked || self.next_look(now) == Millis(0))
        {
            self.looking = true;
            let (engine, tick, with_info) =
                (self.engine.clone(), self.ticks.next(), !self.availability.answers());
            self.tasks.spawn(async move {
                Report::Looked { tick, look: Look::take(&*engine, with_info).await.map(Box::new) }
            });
        } else if asked {
            self.hints.look_at_all();
        }
        if !self.availability.answers() {
            return;
        }
        let making = self.busy.iter().any(|s| matches!(s, Subject::Replica(_)));
        for id in self.hints.take_news(&self.observation, making) {
            self.inspect(id);
        }
    }

    /// Looks at one container.
    pub(super) fn inspect(&mut self, id: ContainerId) {
        let (engine, tick) = (self.engine.clone(), self.ticks.next());
        self.tasks.spawn(async move {
            let found = engine.inspect(&id).await.map(Box::new);
            Report::Inspected { tick, id, found }
        });
    }
}
