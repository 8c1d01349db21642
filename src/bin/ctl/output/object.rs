//! Objects for programs: JSON, YAML and names. Pure.
//!
//! Every object has `apiVersion, kind, metadata, spec, status` in this order, and `apply` accepts a service unchanged.

use coxswain::api::types::{
    CertificateObject, EndpointObject, EventObject, NodeObject, ReplicaObject, RevisionObject, ServiceObject,
    VolumeObject,
};
use coxswain::manifest::API_VERSION;
use serde::Serialize;
use serde_json::{Value, json};

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
struct EnvelopeList<'a> {
    kind: &'static str,
    items: &'a [Envelope],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectFormat {
    Json,
    Yaml,
    Name,
}

impl Envelope {
    fn of(kind: &'static str, name: &str, metadata: Value) -> Self {
        let address = format!("{}/{name}", kind.to_ascii_lowercase());
        Self { api_version: API_VERSION, kind, metadata, spec: None, status: None, address }
    }

    pub(crate) fn service(service: &ServiceObject) -> Self {
        let mut envelope = Self::of("Service", service.metadata.name.as_str(), value(&service.metadata));
        envelope.spec = Some(value(&service.spec));
        envelope.status = Some(value(&service.status));
        envelope
    }

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

    pub(crate) fn endpoint(endpoint: &EndpointObject) -> Self {
        let name = endpoint.name.as_str();
        Self { status: Some(value(endpoint)), ..Self::of("Endpoint", name, json!({"name": name})) }
    }

    pub(crate) fn volume(volume: &VolumeObject) -> Self {
        let metadata = json!({"name": volume.name, "app": volume.app});
        Self { status: Some(value(volume)), ..Self::of("Volume", &volume.name, metadata) }
    }

    /// The routes and listened ports of a service, each named by its claim.
    pub(crate) fn routes(service: &ServiceObject) -> impl Iterator<Item = Self> {
        let routes = service.spec.routes.iter().map(|route| (route.claim(), value(route)));
        let listens = service.spec.listens().map(|(listen, port)| {
            let spec = json!({"listen": listen, "port": port.name});
            (listen.claim(), spec)
        });
        routes.chain(listens).map(|(claim, mut spec)| {
            spec["service"] = json!(service.metadata.name);
            let metadata = json!({"name": claim, "app": service.metadata.app});
            let status = json!({"available": service.status.available, "wanted": service.status.wanted});
            Self { spec: Some(spec), status: Some(status), ..Self::of("Route", &claim, metadata) }
        })
    }

    pub(crate) fn node(node: &NodeObject) -> Self {
        Self { status: Some(value(node)), ..Self::of("Node", &node.name, json!({"name": node.name})) }
    }

    pub(crate) fn certificate(certificate: &CertificateObject) -> Self {
        let name = &certificate.host;
        Self { status: Some(value(certificate)), ..Self::of("Certificate", name, json!({"name": name})) }
    }

    pub(crate) fn revision(object: &RevisionObject) -> Self {
        let RevisionObject { spec, status } = object;
        let name = format!("{}-{}", status.service, status.number);
        let mut envelope = Self::of("Revision", &name, json!({"name": name}));
        envelope.spec = Some(value(spec));
        envelope.status = Some(value(status));
        envelope
    }

    /// An event. It has no name, so it uses that of its object.
    pub(crate) fn event(event: &EventObject) -> Self {
        Self { status: Some(value(event)), ..Self::of("Event", &event.object, json!({"name": event.object})) }
    }

    /// The tombstone of a deleted object in a watch.
    pub(crate) fn gone(self) -> Self {
        let metadata = json!({"name": self.name()});
        Self { metadata, spec: None, status: Some(json!({"gone": true})), ..self }
    }

    pub(crate) fn name(&self) -> &str {
        self.metadata["name"].as_str().unwrap_or_default()
    }

    /// `kind/name`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Cannot fail: types of the API have string keys only.
fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

pub(crate) fn render(objects: &[Envelope], single: bool, format: ObjectFormat) -> Result<String, String> {
    let list = EnvelopeList { kind: "List", items: objects };
    match (format, objects) {
        (ObjectFormat::Name, _) => Ok(objects.iter().map(Envelope::address).collect::<Vec<_>>().join("\n")),
        (ObjectFormat::Json, [object]) if single => {
            serde_json::to_string_pretty(object).map_err(|e| e.to_string())
        }
        (ObjectFormat::Json, _) => serde_json::to_string_pretty(&list).map_err(|e| e.to_string()),
        (ObjectFormat::Yaml, [object]) if single => {
            serde_saphyr::to_string(object).map_err(|e| e.to_string())
        }
        (ObjectFormat::Yaml, _) => serde_saphyr::to_string(&list).map_err(|e| e.to_string()),
    }
    .map(|text| text.trim_end().to_owned())
}

/// One object of a stream: a line of JSON, a YAML document, or a name.
pub(crate) fn render_one(object: &Envelope, format: ObjectFormat) -> Result<String, String> {
    match format {
        ObjectFormat::Json => serde_json::to_string(object).map_err(|e| e.to_string()),
        ObjectFormat::Yaml => serde_saphyr::to_string(object)
            .map(|text| format!("---\n{}", text.trim_end()))
            .map_err(|e| e.to_string()),
        ObjectFormat::Name => Ok(object.address.clone()),
    }
}
