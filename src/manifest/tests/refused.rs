//! Keys, values and rules that are refused.

use super::{refused, row, run};

#[test]
fn unknown_duplicate_and_empty_keys_are_refused() {
    refused(&[
        ("imgae: a:1", &["6:3 spec.imgae | unknown field `imgae` | image"]),
        ("image: a:1\nzzz: 1", &["7:3 spec.zzz | unknown field `zzz` | -"]),
        ("image: a:1\nimage: b:1", &["7:3 spec | duplicate key `image`, first in line 6"]),
        ("image: a:1\nargs: [x]", &["7:3 spec.args | write arguments under `command`"]),
        (
            "image: a:1\nrollout: {max_surge: 1}",
            &["7:13 spec.rollout.max_surge | unknown field `max_surge` | maxSurge"],
        ),
        ("image: a:1\nx: {<<: {a: b}}", &["7:3 spec.x", "7:7 spec.x | merge keys (`<<`) are not supported"]),
        ("image: a:1\n? [a]\n: b", &["7:5 spec | expected text as the key, found a list"]),
        ("image: !!int 5", &["6:"]),
        ("image: !thing a:1", &["6:"]),
        ("replicas: 1", &["5:1 spec.image | `image` is required | image: name:tag"]),
        ("image: a:1\nresources:", &["7:3 spec.resources | `resources` has no value"]),
        ("image: a:1\nresources: []", &["7:3 spec.resources | expected a map, found a list"]),
        ("image:", &["6:3 spec.image | `image` has no value"]),
        ("image: {a: b}", &["6:3 spec.image | expected a single value, found a map"]),
    ]);
}

#[test]
fn keys_and_words_of_a_later_version_are_refused_as_not_supported_yet() {
    for key in crate::manifest::shape::SPEC.later {
        let want = format!("7:3 spec.{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\n{key}: {{a: b}}"), &[&want])]);
    }
    for key in crate::manifest::shape::ROLLOUT.later {
        let want = format!("7:13 spec.rollout.{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\nrollout: {{{key}: 1}}"), &[&want])]);
    }
    for key in crate::manifest::shape::ROUTE.later {
        let want = format!("8:21 spec.route[0].{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\nport: 80\nroute: [{{path: /, {key}: auto}}]"), &[&want])]);
    }
    refused(&[
        ("image: a:1\nreplicas: perNode", &["7:13 spec.replicas | `perNode` is not supported yet"]),
        (
            "image: a:1\nrollout: {strategy: canary}",
            &["7:23 spec.rollout.strategy | `canary` is not supported yet"],
        ),
        ("image: a:1\nrollout: {strategy: blueGreen}", &["7:23 spec.rollout.strategy | `blueGreen` is"]),
        ("image: a:1\nrollout: {strategy: recreate}", &["7:23 spec.rollout.strategy | `recreate` is"]),
        (
            "image: a:1\nports: [{name: a, port: 1, protocol: udp}]",
            &["7:40 spec.ports[0].protocol | `udp` is not supported yet"],
        ),
        (
            "image: a:1\nports: [{name: a, port: 1, hostPort: 2}]",
            &["7:30 spec.ports[0].hostPort | `hostPort` is"],
        ),
        ("image: a:1\nbalance: random", &["7:12 spec.balance | `random` is not supported yet"]),
        ("image: a:1\nbalance: source", &["7:12 spec.balance | `source` is not supported yet"]),
        ("image: a:1\nbalance: {hash: {header: x}}", &["7:3 spec.balance | `hash` is not supported yet"]),
        ("image: a:1\nenv: {A: {secret: a/b}}", &["7:13 spec.env.A.secret | `secret` is not supported yet"]),
        ("image: a:1\nenv: {A: {config: a/b}}", &["7:13 spec.env.A.config | `config` is not supported yet"]),
        ("external: {addresses: [a:1]}", &["6:3 spec.external | `external` is not supported yet"]),
        ("registration: self", &["6:3 spec.registration | `registration` is not supported yet"]),
    ]);
}

const VALUES_OF_THE_WRONG_FORM: &[(&str, &[&str])] = &[
    ("image: a:1\nrollout: {drain: 20}", &["7:20 spec.rollout.drain | duration `20` needs a unit | 20s"]),
    (
        "image: a:1\nresources: {memory: 256m}",
        &["7:23 spec.resources.memory | `256m` means thousandths of a byte | 256Mi"],
    ),
    ("image: a:1\nresources: {cpu: lots}", &["7:20 spec.resources.cpu | invalid cpu quantity `lots`"]),
    (
        "image: a:1\nrollout: {maxSurge: 0.25}",
        &["7:23 spec.rollout.maxSurge | expected a whole number or a percentage, found `0.25` | 25%"],
    ),
    (
        "image: a:1\nrollout: {maxUnavailable: many}",
        &["7:29 spec.rollout.maxUnavailable | expected a whole number or a percentage"],
    ),
    ("image: a:1\nreplicas: \"3\"", &["7:13 spec.replicas | expected a number, found the text `\"3\"` | 3"]),
    ("image: a:1\nreplicas: 3.0", &["7:13 spec.replicas | expected a whole number, found `3.0`"]),
    ("image: a:1\nreplicas: -1", &["7:13 spec.replicas | expected a whole number"]),
    ("image: a:1\nreplicas: 010", &["7:13 spec.replicas | expected a whole number"]),
    ("image: a:1\nreplicas: 99999999999", &["7:13 spec.replicas | the number `99999999999` is too large"]),
    ("image: a:1\nreplicas: 201", &["7:13 spec.replicas | 201 replicas; at most 200 are allowed"]),
    (
        "image: a:1\npull: Always",
        &["7:9 spec.pull | `Always` is not one of ifMissing, always, never | always"],
    ),
    (
        "image: a:1\nsecurity: {readOnlyRoot: yes}",
        &["7:28 spec.security.readOnlyRoot | expected `true` or `false`, found `yes` | true"],
    ),
    (
        "image: a:1\nsecurity: {readOnlyRoot: maybe}",
        &["7:28 spec.security.readOnlyRoot | expected `true` or `false`, found `maybe` | -"],
    ),
    (
        "image: a:1\ncommand: serve --fast",
        &[
            "7:12 spec.command | expected a list: the command is not run through a shell | [\"serve\", \"--fast\"]",
        ],
    ),
    ("image: a:1\ncommand: [a, ~]", &["7:16 spec.command[1] | `command[1]` has no value"]),
    ("image: a:1\nenv: {A: ~}", &["7:12 spec.env.A | `A` has no value; an empty text needs quotes | \"\""]),
    ("image: a:1\nenv: {A: null}", &["7:12 spec.env.A | `A` has no value"]),
    ("image: a:1\nenv:\n  A:\n  B: x", &["8:5 spec.env.A | `A` has no value"]),
    ("image: a:1\nenv: {A: [b]}", &["7:9 spec.env.A | expected a single value, found a list"]),
    (
        "image: a:1\nenv: [{name: A, value: b}]",
        &["7:3 spec.env | expected a map of names to values, found a list | A: b"],
    ),
    ("image: a:1\nenv: [A=b]", &["7:3 spec.env | expected a map of names to values, found a list | A: b"]),
    (
        "image: a:1\nenv: {A: {field: replica.nme}}",
        &["7:20 spec.env.A.field | `replica.nme` is not one of replica.name"],
    ),
    ("image: a:1\nenv: {A: {}}", &["7:9 spec.env.A.field | `field` is required | field: replica.name"]),
    ("image: a:1\nlabels: {a: ~}", &["7:15 spec.labels.a | `a` has no value"]),
    ("image: a:1\nlabels: {coxswain.store: x}", &["7:28 spec.labels.coxswain.store | the name must not"]),
    ("image: a:1\nstop: {signal: SIGNOPE}", &["7:18 spec.stop.signal | unsupported stop signal `SIGNOPE`"]),
];

#[test]
fn values_of_the_wrong_form_are_refused() {
    refused(VALUES_OF_THE_WRONG_FORM);
}

#[test]
fn rules_over_the_whole_spec_point_at_the_line() {
    refused(&[
        (
            "image: a:1\nrollout:\n  maxSurge: 0\n  maxUnavailable: 0",
            &["8:15 spec.rollout.maxSurge | maxSurge and maxUnavailable are both 0"],
        ),
        (
            "image: a:1\nrollout:\n  healthyFor: 6m",
            &["7:3 spec.rollout.deadline | the deadline (5m) must be longer than healthyFor (6m)"],
        ),
        (
            "image: a:1\nresources: {cpu: 2}\nlimits: {cpu: 1}",
            &["8:17 spec.limits.cpu | the limit (1) must not be lower than the reserved cpu (2)"],
        ),
    ]);
}

#[test]
fn problems_of_the_envelope_are_refused() {
    let spec = "spec: {image: a:1}";
    let rows: &[(&str, &[&str])] = &[
        (
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: A_b}\nspec: {image: a:1, replicas: 999}",
            &[
                "3:18 metadata.name | invalid name `A_b`: use lower-case letters, digits and hyphens (not first or last) | a-b",
                "4:30 spec.replicas | 999 replicas; at most",
            ],
        ),
        (
            &format!("kind: Service\nmetadata: {{name: a}}\n{spec}"),
            &["1:1 apiVersion | `apiVersion` is required | apiVersion: coxswain/v1"],
        ),
        (
            &format!("apiVersion: coxswain/v1\nmetadata: {{name: a}}\n{spec}"),
            &["1:1 kind | `kind` is required | kind: Service"],
        ),
        (
            &format!("apiVersion: coxswain/v1\nkind: Service\n{spec}"),
            &["1:1 metadata | `metadata` is required | metadata: {name: hello}"],
        ),
        (
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {nmae: a}\nspec:",
            &["3:12 metadata.nmae | unknown field `nmae` | name", "4:1 spec | `spec` has no value"],
        ),
        ("apiVersion: coxswain/v1\nkind: List", &["1:1 items | `items` is required | items: []"]),
        ("kind: List\nitems: [{kind: List}]", &["2:9 items[0] | a List cannot contain another List"]),
        ("kind: List\nitems: [a]", &["2:9  | expected a manifest, found a single value"]),
    ];
    for (text, want) in rows {
        let got: Vec<String> = run(text).err().unwrap_or_default().iter().map(row).collect();
        assert_eq!(got.len(), want.len(), "{text}\n{got:#?}");
        for (got, want) in got.iter().zip(*want) {
            assert!(got.starts_with(want), "{text}\n got: {got}\nwant: {want}");
        }
    }
}
