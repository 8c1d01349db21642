//! New events as a stream that survives a restart of the daemon: each event once.

use std::collections::VecDeque;

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::codes;
use coxswain::api::types::{ApiError, EventObject};
use coxswain::model::{EventReason, ServiceName};

use crate::reconnect::StreamSource;

/// Events that are remembered to know them again. Later than the first of so many, none is from before an outage.
const REMEMBERED_MAX: usize = 1_000;

/// The events of one service or of all, from the oldest on.
pub(crate) struct EventSource {
    client: ApiClient,
    service: Option<ServiceName>,
    /// The last that came, oldest first.
    remembered: VecDeque<EventObject>,
    is_reopened: bool,
}

impl EventSource {
    pub(crate) fn new(client: ApiClient, service: Option<ServiceName>) -> Self {
        Self { client, service, remembered: VecDeque::new(), is_reopened: false }
    }

    fn came_before(&self, event: &EventObject) -> bool {
        let is_full = self.remembered.len() == REMEMBERED_MAX;
        let is_older = is_full && self.remembered.front().is_some_and(|first| event.at < first.at);
        is_older || self.remembered.contains(event)
    }
}

impl StreamSource for EventSource {
    type Item = EventObject;

    async fn open(&mut self) -> Result<ObjectStream<EventObject>, ApiError> {
        self.is_reopened = !self.remembered.is_empty();
        self.client.events(self.service.as_ref(), true).await
    }

    fn is_new(&mut self, event: &EventObject) -> bool {
        if self.is_reopened && self.came_before(event) {
            return false;
        }
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(event.clone());
        true
    }

    /// The daemon ends the events of a service after it was deleted.
    fn end(&self) -> Option<ApiError> {
        let is_deleted =
            self.remembered.back().is_some_and(|last| last.reason == EventReason::ServiceDeleted);
        if self.service.is_some() && is_deleted { None } else { Some(codes::stream_ended()) }
    }
}

#[cfg(test)]
mod tests {
    use coxswain::model::EventKind;

    use super::*;

    fn event(second: usize) -> EventObject {
        let at = jiff::Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        let (object, message) = ("service/users".to_owned(), second.to_string());
        EventObject {
            at,
            object,
            kind: EventKind::Normal,
            reason: EventReason::ReplicaReady,
            message,
            cut_requests: Vec::new(),
        }
    }

    #[test]
    fn is_new_is_false_for_what_came_before_the_outage_alone() {
        let mut source = EventSource::new(ApiClient::new("/nowhere"), None);
        for second in [5, 4] {
            assert!(source.is_new(&event(second)), "one that comes late is no repetition");
        }
        source.is_reopened = true;
        let came: Vec<bool> = [4, 5, 3, 6].map(|second| source.is_new(&event(second))).to_vec();
        assert_eq!(came, [false, false, true, true]);

        let mut full = EventSource::new(ApiClient::new("/nowhere"), None);
        for second in 0..=REMEMBERED_MAX {
            assert!(full.is_new(&event(second)));
        }
        full.is_reopened = true;
        assert!(!full.is_new(&event(0)), "it is older than all that are remembered");
    }
}
