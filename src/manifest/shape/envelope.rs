//! What is around a spec: kinds, `metadata`, lists.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, LABEL, NONE, SchemaNode, TEXT, ValueType, key};
use super::service::SPEC;

/// The kinds of documents.
pub(in crate::manifest) const KINDS: SchemaNode = SchemaNode {
    keys: &[
        key(
            "Service",
            ValueType::Block(&DOCUMENT),
            Required,
            "{apiVersion: coxswain/v1, kind: Service, metadata: {name: web}, spec: {image: web:1}}",
            "A named set of identical replicas with its routes, health check and rollout policy.",
        ),
        key(
            "List",
            ValueType::Block(&LIST),
            Required,
            "{kind: List, items: []}",
            "Several documents in one, as `ctl get -o yaml` prints them.",
        ),
    ],
    later: &["Route", "Secret", "Config", "Host"],
    ..NONE
};

/// The version of the format that this program reads.
pub(in crate::manifest) const API_VERSION: &str = "coxswain/v1";

const VERSIONS: EnumValues =
    EnumValues { words: &[(API_VERSION, "the version that this program reads")], later: &[] };
const SERVICE: EnumValues = EnumValues { words: &[("Service", "a service")], later: &[] };
const LISTS: EnumValues = EnumValues { words: &[("List", "a list of documents")], later: &[] };

pub(in crate::manifest) const DOCUMENT: SchemaNode = SchemaNode {
    keys: &[
        key(
            "apiVersion",
            ValueType::EnumValues(&VERSIONS),
            Required,
            API_VERSION,
            "Version of the format that the document is written in.",
        ),
        key("kind", ValueType::EnumValues(&SERVICE), Required, "Service", "What the document declares."),
        key(
            "metadata",
            ValueType::Block(&METADATA),
            Required,
            "{name: web, app: shop}",
            "What the service is called and what it belongs to.",
        ),
        key(
            "spec",
            ValueType::Block(&SPEC),
            Required,
            "{image: web:1, replicas: 2, port: 8080}",
            "What is wanted of the service.",
        ),
    ],
    ignored: &["status"],
    elsewhere: &[
        ("name", "metadata", "the name is written under `metadata`"),
        ("app", "metadata", "the app is written under `metadata`"),
        ("image", "spec", "the image is written under `spec`"),
        ("replicas", "spec", "the number of replicas is written under `spec`"),
    ],
    ..NONE
};

pub(in crate::manifest) const LIST: SchemaNode = SchemaNode {
    keys: &[
        key(
            "apiVersion",
            ValueType::EnumValues(&VERSIONS),
            Means("the version that this program reads"),
            API_VERSION,
            "Version of the format that the list is written in.",
        ),
        key("kind", ValueType::EnumValues(&LISTS), Required, "List", "Says that this is a list."),
        key(
            "items",
            ValueType::List(&ValueType::Block(&DOCUMENT), None),
            Required,
            "[]",
            "The documents. A list within a list is refused.",
        ),
    ],
    ignored: &["metadata"],
    ..NONE
};

pub(in crate::manifest) const METADATA: SchemaNode = SchemaNode {
    keys: &[
        key(
            "name",
            LABEL,
            Required,
            "users",
            "Name of the service, unique in a store: a DNS label of at most 40 characters.",
        ),
        key(
            "app",
            LABEL,
            Default("default"),
            "shop",
            "The group that the service belongs to: its network, and what `ctl delete -a` deletes. It cannot be \
             changed later.",
        ),
        key(
            "annotations",
            ValueType::Map("", &TEXT, None),
            Default("{}"),
            "{owner: team-identity}",
            "Notes of yours. They change nothing that runs.",
        ),
    ],
    ignored: &["uid", "generation", "createdAt"],
    elsewhere: &[
        ("namespace", "app", "there are no namespaces; `app` groups what belongs together"),
        ("labels", "", "labels of the containers are written under `spec.labels`"),
    ],
    ..NONE
};
