//! What is around a spec: kinds, `metadata`, lists.

use super::Absent::{Default, Means, Required};
use super::{Form, LABEL, NONE, SPEC, Shape, TEXT, Words, key};

/// The kinds of documents.
pub(in crate::manifest) const KINDS: Shape = Shape {
    keys: &[
        key(
            "Service",
            Form::Block(&DOCUMENT),
            Required,
            "{apiVersion: coxswain/v1, kind: Service, metadata: {name: web}, spec: {image: web:1}}",
            "A named set of identical replicas with its routes, health check and rollout policy.",
        ),
        key(
            "List",
            Form::Block(&LIST),
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

const VERSIONS: Words = Words { words: &[(API_VERSION, "the version that this program reads")], later: &[] };
const SERVICE: Words = Words { words: &[("Service", "a service")], later: &[] };
const LISTS: Words = Words { words: &[("List", "a list of documents")], later: &[] };

pub(in crate::manifest) const DOCUMENT: Shape = Shape {
    keys: &[
        key(
            "apiVersion",
            Form::Words(&VERSIONS),
            Required,
            API_VERSION,
            "Version of the format that the document is written in.",
        ),
        key("kind", Form::Words(&SERVICE), Required, "Service", "What the document declares."),
        key(
            "metadata",
            Form::Block(&METADATA),
            Required,
            "{name: web, app: shop}",
            "What the service is called and what it belongs to.",
        ),
        key(
            "spec",
            Form::Block(&SPEC),
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

pub(in crate::manifest) const LIST: Shape = Shape {
    keys: &[
        key(
            "apiVersion",
            Form::Words(&VERSIONS),
            Means("the version that this program reads"),
            API_VERSION,
            "Version of the format that the list is written in.",
        ),
        key("kind", Form::Words(&LISTS), Required, "List", "Says that this is a list."),
        key(
            "items",
            Form::List(&Form::Block(&DOCUMENT), None),
            Required,
            "[]",
            "The documents. A list within a list is refused.",
        ),
    ],
    ignored: &["metadata"],
    ..NONE
};

pub(in crate::manifest) const METADATA: Shape = Shape {
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
            Form::Map("", &TEXT, None),
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
