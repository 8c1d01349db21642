//! Objects for programs: JSON, YAML and names. PURE.
//!
//! Every object has `apiVersion, kind, metadata, spec, status` in this order, and `apply` takes a service as it is.

use coxswain::api::types::{API_VERSION, NodeObject, ReplicaObject, RevisionObject, ServiceObject};
use coxswain::model::{Endpoint, Event};
use serde::Serialize;
use serde_json::{Value, json};

/// An object with what all have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    api_version: &'static str,
    kind: &'static str,
    metadata: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    /// For `-o name`: `service/users`.
    #[serde(skip)]
    address: String,
}

#[derive(Debug, Serialize)]
struct Items<'a> {
    kind: &'static str,
    items: &'a [Envelope],
}

/// How objects are written for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Name,
}

impl Envelope {
    fn of(kind: &'static str, name: &str, metadata: Value) -> Self {
        let address = format!("{}/{name}", kind.to_ascii_lowercase());
        Self { api_version: API_VERSION, kind, metadata, spec: None, status: None, address }
    }

    /// A service.
    pub(crate) fn service(service: &ServiceObject) -> Self {
        let mut envelope = Self::of("Service", service.metadata.name.as_str(), value(&service.metadata));
        envelope.spec = Some(value(&service.spec));
        envelope.status = Some(value(&service.status));
        envelope
    }

    /// A replica.
    pub(crate) fn replica(replica: &ReplicaObject) -> Self {
        let name = replica.spec.name.as_str();
        let mut status = value(&replica.status);
        if !status.is_object() {
            status = json!({});
        }
        status["available"] = json!(replica.available);
        status["inFlight"] = json!(replica.in_flight);
        status["image"] = value(&replica.image);
        let mut envelope = Self::of("Replica", name, json!({"name": name, "app": replica.spec.app}));
        envelope.spec = Some(value(&replica.spec));
        envelope.status = Some(status);
        envelope
    }

    /// An endpoint.
    pub(crate) fn endpoint(endpoint: &Endpoint) -> Self {
        let name = endpoint.replica.as_str();
        Self { status: Some(value(endpoint)), ..Self::of("Endpoint", name, json!({"name": name})) }
    }

    /// The routes of a service, each by what it claims.
    pub(crate) fn routes(service: &ServiceObject) -> impl Iterator<Item = Self> {
        service.spec.routes.iter().map(|route| {
            let claim = route.claim();
            let mut spec = value(route);
            spec["service"] = json!(service.metadata.name);
            let metadata = json!({"name": claim, "app": service.metadata.app});
            Self { spec: Some(spec), ..Self::of("Route", &claim, metadata) }
        })
    }

    /// A host.
    pub(crate) fn host(host: &NodeObject) -> Self {
        Self { status: Some(value(host)), ..Self::of("Node", &host.name, json!({"name": host.name})) }
    }

    /// A revision.
    pub(crate) fn revision(object: &RevisionObject) -> Self {
        let name = format!("{}-{}", object.revision.service, object.revision.number);
        Self { status: Some(value(object)), ..Self::of("Revision", &name, json!({"name": name})) }
    }

    /// An event; it has no name of its own, only that of its object.
    pub(crate) fn event(event: &Event) -> Self {
        Self { status: Some(value(event)), ..Self::of("Event", &event.object, json!({"name": event.object})) }
    }

    /// The same once it is there no more.
    pub(crate) fn gone(self) -> Self {
        let metadata = json!({"name": self.name()});
        Self { metadata, spec: None, status: Some(json!({"gone": true})), ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.metadata["name"].as_str().unwrap_or_default()
    }

    /// What it is called where one asks for it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Model and API types have string keys only, so this cannot fail.
fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// One object, or a list of them. An error names what could not be written.
pub(crate) fn render(objects: &[Envelope], single: bool, format: Format) -> Result<String, String> {
    let list = Items { kind: "List", items: objects };
    match (format, objects) {
        (Format::Name, _) => Ok(objects.iter().map(Envelope::address).collect::<Vec<_>>().join("\n")),
        (Format::Json, [object]) if single => serde_json::to_string_pretty(object).map_err(|e| e.to_string()),
        (Format::Json, _) => serde_json::to_string_pretty(&list).map_err(|e| e.to_string()),
        (Format::Yaml, [object]) if single => serde_yaml::to_string(object).map_err(|e| e.to_string()),
        (Format::Yaml, _) => serde_yaml::to_string(&list).map_err(|e| e.to_string()),
    }
    .map(|text| text.trim_end().to_owned())
}

/// One object of a stream: a line of JSON, a YAML document, or a name.
pub(crate) fn render_one(object: &Envelope, format: Format) -> Result<String, String> {
    match format {
        Format::Json => serde_json::to_string(object).map_err(|e| e.to_string()),
        Format::Yaml => serde_yaml::to_string(object)
            .map(|text| format!("---\n{}", text.trim_end()))
            .map_err(|e| e.to_string()),
        Format::Name => Ok(object.address.clone()),
    }
}
