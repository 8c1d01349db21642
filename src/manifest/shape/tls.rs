//! HTTPS of a route.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, NONE, SchemaKey, SchemaNode, ValueType, key};

pub(super) const ROUTE_TLS_KEY: SchemaKey = key(
    "tls",
    ValueType::Either(&[ValueType::EnumValues(&TLS_WORD), ValueType::Block(&ROUTE_TLS)]),
    Means("no HTTPS of this route's own"),
    "{cert: /etc/ssl/shop.pem, key: /etc/ssl/shop.key}",
    "HTTPS for the host, at the addresses of `ctl serve --https`: with files, or with a certificate of the daemon's local CA \
         (`auto`, for private names such as `shop.localhost`).",
);

pub(super) const HTTPS_REDIRECT_KEY: SchemaKey = key(
    "httpsRedirect",
    ValueType::Flag,
    Default("true"),
    "false",
    "Whether a request without TLS is redirected to HTTPS (308), while the host has a certificate. \
         `/.well-known/acme-challenge/` never is.",
);

pub(super) const HSTS_KEY: SchemaKey = key(
    "hsts",
    ValueType::Block(&HSTS),
    Means("no such header"),
    "{maxAge: 365d}",
    "`Strict-Transport-Security` of responses over TLS: browsers then use HTTPS for the host whatever a link says, until `maxAge` \
         has passed.",
);

pub(in crate::manifest) const TLS_WORD: EnumValues =
    EnumValues { words: &[("auto", "a certificate of the daemon's local CA")], later: &[] };

/// A file of the node.
const NODE_FILE: ValueType = ValueType::Path("^/[^\\x00-\\x1f]*$");

pub(in crate::manifest) const ROUTE_TLS: SchemaNode = SchemaNode {
    keys: &[
        key(
            "cert",
            NODE_FILE,
            Required,
            "/etc/ssl/shop.pem",
            "File with the certificate in PEM, followed by its intermediates: an absolute path on the daemon's node. A change is loaded \
             within seconds.",
        ),
        key(
            "key",
            NODE_FILE,
            Required,
            "/etc/ssl/shop.key",
            "File with its private key in PEM, without a passphrase.",
        ),
    ],
    ..NONE
};

pub(in crate::manifest) const HSTS: SchemaNode = SchemaNode {
    keys: &[
        key(
            "maxAge",
            ValueType::Duration,
            Default("365d"),
            "1d",
            "How long browsers remember it; `0s` makes them forget it.",
        ),
        key(
            "includeSubdomains",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether it holds for all names below the host, too.",
        ),
    ],
    ..NONE
};
