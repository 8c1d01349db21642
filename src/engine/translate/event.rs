//! Events. Pure.

use bollard::models::{EventMessage, EventMessageTypeEnum};

use crate::engine::{EngineEvent, EngineEventKind};
use crate::model::ContainerId;

/// `None` if the event has no time.
pub(in crate::engine) fn event(event: EventMessage) -> Option<EngineEvent> {
    let nanos = event.time_nano.map(i128::from);
    let nanos = nanos.or_else(|| event.time.map(|s| i128::from(s) * 1_000_000_000))?;
    let actor = event.actor.unwrap_or_default();
    let container = match event.typ {
        Some(EventMessageTypeEnum::CONTAINER) => actor.id,
        // The attributes name the container that was connected or disconnected.
        Some(EventMessageTypeEnum::NETWORK) => actor.attributes.unwrap_or_default().remove("container"),
        _ => None,
    };
    Some(EngineEvent {
        container: container.map(ContainerId::new),
        kind: EngineEventKind::of_action(event.action.as_deref().unwrap_or_default()),
        at: jiff::Timestamp::from_nanosecond(nanos).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_of_a_network_names_the_disconnected_container() {
        let attributes = serde_json::json!({"container": "c1", "name": "net", "type": "bridge"});
        let message = |kind: &str, action: &str, actor: serde_json::Value| {
            let json = serde_json::json!({"Type": kind, "Action": action, "Actor": actor, "timeNano": 7});
            event(serde_json::from_value(json).unwrap()).unwrap()
        };
        let left =
            message("network", "disconnect", serde_json::json!({"ID": "n1", "Attributes": attributes}));
        assert_eq!((left.container, left.kind), (Some("c1".into()), EngineEventKind::Stop));
        let gone = message("network", "destroy", serde_json::json!({"ID": "n1", "Attributes": {}}));
        assert_eq!(gone.container, None);
        let died = message("container", "die", serde_json::json!({"ID": "c2", "Attributes": attributes}));
        assert_eq!(died.container, Some("c2".into()));
    }
}
