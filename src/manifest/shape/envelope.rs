//! The envelope of a spec: kinds, `metadata`, lists.

use super::foreign_key::{ForeignKey, under};
use super::kubernetes::OBJECT_META;
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
            "A named set of identical replicas with routes, a health check and a rollout policy.",
        ),
        key(
            "List",
            ValueType::Block(&LIST),
            Required,
            "{kind: List, items: []}",
            "Several documents in one, as `ctl get -o yaml` prints them.",
        ),
    ],
    later: &["Route", "Secret", "Config", "Node"],
    ..NONE
};

/// The supported version of the format.
pub const API_VERSION: &str = "coxswain/v1";

const VERSIONS: EnumValues = EnumValues { words: &[(API_VERSION, "the supported version")], later: &[] };
const SERVICE: EnumValues = EnumValues { words: &[("Service", "a service")], later: &[] };
const LISTS: EnumValues = EnumValues { words: &[("List", "a list of documents")], later: &[] };

/// Keys that belong to a block of the document.
const OUTSIDE_SPEC: &[ForeignKey] = &[
    under("app", "metadata", "write the app under `metadata`"),
    under("image", "spec", "write the image under `spec`"),
    under("name", "metadata", "write the name under `metadata`"),
    under("replicas", "spec", "write the number of replicas under `spec`"),
];

pub(in crate::manifest) const DOCUMENT: SchemaNode = SchemaNode {
    keys: &[
        key(
            "apiVersion",
            ValueType::EnumValues(&VERSIONS),
            Required,
            API_VERSION,
            "Version of the manifest format.",
        ),
        key("kind", ValueType::EnumValues(&SERVICE), Required, "Service", "Kind of the object."),
        key(
            "metadata",
            ValueType::Block(&METADATA),
            Required,
            "{name: web, app: shop}",
            "Name, app and annotations of the service.",
        ),
        key(
            "spec",
            ValueType::Block(&SPEC),
            Required,
            "{image: web:1, replicas: 2, port: 8080}",
            "Desired state of the service.",
        ),
    ],
    ignored: &["status"],
    elsewhere: &[OUTSIDE_SPEC],
    ..NONE
};

pub(in crate::manifest) const LIST: SchemaNode = SchemaNode {
    keys: &[
        key(
            "apiVersion",
            ValueType::EnumValues(&VERSIONS),
            Means("the supported version"),
            API_VERSION,
            "Version of the manifest format.",
        ),
        key("kind", ValueType::EnumValues(&LISTS), Required, "List", "Kind of the document."),
        key(
            "items",
            ValueType::List(&ValueType::Block(&DOCUMENT), None),
            Required,
            "[]",
            "The documents. A List cannot contain another List.",
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
            "App that the service belongs to: its containers share a network, and `ctl delete -a` deletes them together. It \
             cannot be changed later.",
        ),
        key(
            "annotations",
            ValueType::Map("", &TEXT, None),
            Default("{}"),
            "{owner: team-identity}",
            "Notes for your own use. They do not affect what runs.",
        ),
    ],
    ignored: &["uid", "generation", "createdAt"],
    elsewhere: &[OBJECT_META],
    ..NONE
};
