//! Problems of the blocks of a spec with forms of their own: ports, routes, health, volumes.

use super::refused;

#[test]
fn problems_of_ports_are_refused() {
    refused(&[
        (
            "image: a:1\nport: eighty\nroute: a.b\nhealth: /x",
            &["7:9 spec.ports[0].port | expected a whole number"],
        ),
        ("image: a:1\nprot: 80\nroute: a.b\nhealth: /x", &["7:3 spec.prot | unknown field `prot` | port"]),
        ("image: a:1\nport: 0", &["7:9 spec.ports[0].port | expected a port from 1 to 65535, found 0"]),
        (
            "image: a:1\nport: \"8080:80\"",
            &["7:9 spec.ports[0].port | port 8080 of the node is named under `ports[].listen`"],
        ),
        (
            "image: a:1\nport: 1\nports: [{name: a, port: 2}]",
            &["7:9 spec.port | `port` is the short form of `ports`"],
        ),
        (
            "image: a:1\nports: [8080]",
            &[
                "7:11 spec.ports[0] | expected a map with `name` and `port`, found `8080` | {name: http, port: 8080}",
            ],
        ),
        (
            "image: a:1\nports: [\"8080:80\"]",
            &[
                "7:11 spec.ports[0] | expected a map with `name` and `port`, found `8080:80` | {name: http, port: 80}",
            ],
        ),
        (
            "image: a:1\nports: [80/udp, 81/tcp]",
            &[
                "7:11 spec.ports[0] | protocol `udp` is not supported yet; a port serves HTTP or TCP | {name: http, port: 80}",
                "7:19 spec.ports[1] | expected a map with `name` and `port`, found `81/tcp` | {name: port-81, port: 81}",
            ],
        ),
        (
            "image: a:1\nports: [3000-3001]",
            &[
                "7:11 spec.ports[0] | expected a map with `name` and `port`, found `3000-3001` | ports: [{name: http, port: 3000}, {name: port-3001, port: 3001}]",
            ],
        ),
        (
            "image: a:1\nports: [http]",
            &["7:11 spec.ports[0] | expected a map with `name` and `port`, found `http` | -"],
        ),
        (
            "image: a:1\nport: 80/udp",
            &["7:9 spec.ports[0].port | protocol `udp` is not supported yet; a port serves HTTP or TCP | 80"],
        ),
        (
            "image: a:1\nports: [{name: db, port: 1, protocol: tcp, listen: \"5432:1\"}]",
            &[
                "7:54 spec.ports[0].listen | expected a port of the node or `address:port`, found `5432:1` | 1",
            ],
        ),
        (
            "image: a:1\nports: [{name: db, port: 1, protocol: tcp, listen: {port: 2, address: localhost}}]",
            &["7:73 spec.ports[0].listen.address | expected an IP address, found `localhost` | 127.0.0.1"],
        ),
        (
            "image: a:1\nports: [{name: db, port: 1, protocol: http, listen: 5432}]",
            &["7:55 spec.ports[0].listen | `listen` is for ports with `protocol: tcp`"],
        ),
        (
            "image: a:1\nports: [{name: db, port: 1, protocol: tcp}]\nroute: /x",
            &["8:10 spec.route[0].port | port `db` has `protocol: tcp`"],
        ),
        (
            "image: a:1\nport: 3000-3001",
            &[
                "7:9 spec.ports[0].port | expected a port, found `3000-3001` | ports: [{name: http, port: 3000}, ",
            ],
        ),
        ("image: a:1\nports: [{port: 1}]", &["7:11 spec.ports[0].name | `name` is required | name: http"]),
        ("image: a:1\nports: [{name: a}]", &["7:11 spec.ports[0].port | `port` is required | port: 8080"]),
        ("image: a:1\nports: {name: a, port: 1}", &["7:3 spec.ports | expected a list, found a map"]),
        (
            "image: a:1\nports: [{name: a, containerPort: 1}]",
            &["7:21 spec.ports[0].containerPort | write the port of the container under `port`"],
        ),
    ]);
}

const BAD_ROUTES: &[(&str, &[&str])] = &[
    ("image: a:1\nroute: a.b", &["7:10 spec.route[0].port | a route needs a port | port: 8080"]),
    (
        "image: a:1\nport: 1\nroute: http://a.b/c",
        &["8:10 spec.route[0] | expected `host/path` without a scheme, found `http://a.b/c` | a.b/c"],
    ),
    (
        "image: a:1\nport: 1\nroute: a.*.b",
        &[
            "8:10 spec.route[0] | host `a.*.b`: `*` can only be the whole first label of a host name | \"*.shop.localhost\"",
        ],
    ),
    (
        "image: a:1\nport: 1\nroute: [{host: \"*a.b\"}]",
        &["8:18 spec.route[0].host | host `*a.b`: `*` can only be the whole first label"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, match: {header: [a]}}]",
        &["8:29 spec.route[0].match.header | expected a map of names to values, found a list"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, match: {method: get}}]",
        &["8:37 spec.route[0].match.method | `get` is not a method"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, match: {headers: {a: b}}}]",
        &["8:29 spec.route[0].match.headers | unknown field `headers` | header"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, match: {header: {\"a b\": c}}}]",
        &["8:45 spec.route[0].match.header.a b | `a b` is not the name of a header"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, match: {header: {a: b}}}, {path: /, match: {cookie: {c: d}}}]",
        &["8:57 spec.route[1].match | a request can match both `*/ cookie.c=\"d\"` and `*/ header.a=\"b\"`"],
    ),
    (
        "image: a:1\nroute: [{path: /, redirect: {scheme: https, path: /x}}]",
        &["7:40 spec.route[0].redirect.scheme | `scheme` needs `host`"],
    ),
    (
        "image: a:1\nroute: [{path: /, redirect: {status: 302}}]",
        &["7:21 spec.route[0].redirect | `host` or `path` is required | host: shop.example"],
    ),
    (
        "image: a:1\nroute: [{path: /x, redirect: {host: a.b, status: 200}}]",
        &["7:52 spec.route[0].redirect.status | 200 is not a redirect"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, allow: []}]",
        &["8:21 spec.route[0].allow | the list has no address; remove the key to allow every client"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, allow: [10.1.2.3/8, all]}]",
        &[
            "8:29 spec.route[0].allow[0] | `10.1.2.3/8`: 10.1.2.3/8 has bits set",
            "8:41 spec.route[0].allow[1] | `all`: expected an address or a range",
        ],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, basicAuth: {users: {anna: $apr1$a$b}}}]",
        &["8:47 spec.route[0].basicAuth.users.anna | `$apr1$` (MD5) hashes are too weak"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{path: /, requestHeaders: {set: {Host: a}}}]",
        &["8:50 spec.route[0].requestHeaders.set.Host | `Host` is set by the balancer and cannot be changed"],
    ),
    ("image: a:1\nport: 1\nroute: [{path: /, maxBodySize: 1m}]", &["8:34 spec.route[0].maxBodySize |"]),
    (
        "image: a:1\nport: 1\nroute: \"*/c\"",
        &["8:10 spec.route[0] | a path alone matches every host; remove `*` | /c"],
    ),
    (
        "image: a:1\nport: 1\nroute: Shop.b",
        &["8:10 spec.route[0] | host `Shop.b` must be in lower case | shop.b"],
    ),
    (
        "image: a:1\nport: 1\nroute: a.b/c/*",
        &[
            "8:10 spec.route[0] | path `/c/*` must not end with `/` or contain `*`; it matches everything below it | /c",
        ],
    ),
    (
        "image: a:1\nport: 1\nroute: [/*/c, /**]",
        &[
            "8:11 spec.route[0] | path `/*/c` must not end with `/` or contain `*`; it matches everything below it | -",
            "8:17 spec.route[1] | path `/**` must not end with `/` or contain `*`; it matches everything below it | /",
        ],
    ),
    (
        "image: a:1\nports: [{name: ~, port: x}]\nroute: [{path: /*/c, timeout: 5}]",
        &[
            "7:18 spec.ports[0].name | `name` has",
            "7:27 spec.ports[0].port |",
            "8:18 ",
            "8:33 spec.route[0].timeout |",
        ],
    ),
    ("image: a:1\nport: 1\nroute: a.b/c/", &["8:10 spec.route[0] | path `/c/` must not end with `/`"]),
    ("image: a:1\nport: 1\nroute: a.b:80", &["8:10 spec.route[0].host | invalid host `a.b:80`"]),
    ("image: a:1\nport: 1\nroute: /a/../b", &["8:10 spec.route[0].path | path `/a/../b` must not contain"]),
    (
        "image: a:1\nport: 1\nroute: \"\"",
        &["8:10 spec.route[0] | expected `host/path`, found an empty text | /"],
    ),
    (
        "image: a:1\nport: 1\nroute: {host: a.b}",
        &["8:3 spec.route | expected `host/path` or a list, found a map"],
    ),
    (
        "image: a:1\nport: 1\nroute: [{timeout: 1s}]",
        &["8:11 spec.route[0] | `host` or `path` is required | path: /"],
    ),
    ("image: a:1\nport: 1\nroute: [{hots: a.b}]", &["8:12 spec.route[0].hots | unknown field `hots` | host"]),
    (
        "image: a:1\nport: 1\nroute: [{path: /, port: nope}]",
        &["8:27 spec.route[0].port | unknown port `nope` | http"],
    ),
    ("image: a:1\nport: 1\nroute: [a.b/c, a.b/c]", &["8:18 spec.route[1].path | duplicate route `a.b/c`"]),
];

#[test]
fn problems_of_routes_are_refused() {
    refused(BAD_ROUTES);
}

#[test]
fn problems_of_health_are_refused() {
    refused(&[
        ("image: a:1\nhealth: /x", &["7:11 spec.health | the health check needs a port"]),
        ("image: a:1\nport: 1\nhealth: x", &["8:11 spec.health.http | invalid path `x`"]),
        (
            "image: a:1\nport: 1\nhealth: none",
            &["8:11 spec.health | `none` is not a path; to disable the check, write a map | {none: true}"],
        ),
        ("image: a:1\nport: 1\nhealth: {http: /x, tcp: true}", &["8:3 spec.health | more than one check"]),
        ("image: a:1\nport: 1\nhealth: {grpc: a b}", &["8:18 spec.health.grpc | invalid gRPC service `a b`"]),
        ("image: a:1\nhealth: {grpc: \"\"}", &["7:3 spec.health | the health check needs a port"]),
        (
            "image: a:1\nhealth: {exec: /app check}",
            &[
                "7:18 spec.health.exec | expected a list: the command is not run through a shell | [\"/app\", \"check\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: curl -f x || exit 1}",
            &[
                "7:18 spec.health.exec | expected a list: the command is not run through a shell | [\"/bin/sh\", \"-c\", \"curl -f x || exit 1\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: [CMD, curl, x]}",
            &[
                "7:12 spec.health.exec | `CMD` is Docker's word for a command; leave it out | exec: [\"curl\", \"x\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: [CMD-SHELL, curl x || exit 1]}",
            &[
                "7:12 spec.health.exec | `CMD-SHELL` is Docker's word for a shell; write the shell | exec: [\"/bin/sh\", \"-c\", \"curl x || exit 1\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: [NONE]}",
            &["7:3 spec.health | `NONE` is Docker's word for no check | health: {none: true}"],
        ),
        (
            "image: a:1\nhealth: {exec: [curl -f x]}",
            &[
                "7:12 spec.health.exec | `curl -f x` is one word: no shell splits it | exec: [\"curl\", \"-f\", \"x\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: [curl, x, \"||\", exit, \"1\"]}",
            &[
                "7:12 spec.health.exec | `||` needs a shell | exec: [\"/bin/sh\", \"-c\", \"curl x || exit 1\"]",
            ],
        ),
        (
            "image: a:1\nhealth: {exec: {command: [a, b]}}",
            &["7:12 spec.health.exec | write the list itself, without `command` | [\"a\", \"b\"]"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {http: /, host: \"http://a\"}",
            &["8:27 spec.health.host | invalid host `http://a`"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {tcp: true, host: a}",
            &["8:29 spec.health.host | only `http` sends a Host"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {http: /, headers: [{name: A, value: b}]}",
            &["8:21 spec.health.headers | expected a map of names to values, found a list | A: 'b'"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {http: /, headers: {\"a b\": c}}",
            &["8:38 spec.health.headers.a b | `a b` is not the name of a header"],
        ),
        ("image: a:1\nhealth: {exec: []}", &["7:12 spec.health.exec | the command is empty"]),
        (
            "image: a:1\nport: 1\nhealth: {exec: [a], port: http}",
            &["8:29 spec.health.port | `exec` uses no port"],
        ),
        ("image: a:1\nport: 1\nhealth: {exec: [a], grpc: b}", &["8:3 spec.health | more than one check"]),
        (
            "image: a:1\nport: 1\nhealth: {command: [a]}",
            &["8:12 spec.health.command | write the command as a list under `exec`"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {tcp: false}",
            &["8:17 spec.health.tcp | expected `true`, found `false`"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {interval: 5}",
            &["8:22 spec.health.interval | duration `5` needs a unit | 5s"],
        ),
        (
            "image: a:1\nport: 1\nhealth: {interval: 0s}",
            &["8:22 spec.health.interval | must be greater than 0"],
        ),
    ]);
}

#[test]
fn problems_of_volumes_are_refused() {
    refused(&[
        (
            "image: a:1\nvolumes: [data:/data:ro]",
            &[
                "7:13 spec.volumes[0] | expected a map with `name` and `path`, found `data:/data:ro` | {name: data, path: /data, readOnly: true}",
            ],
        ),
        (
            "image: a:1\nvolumes: [/srv:/data:ro]",
            &[
                "7:13 spec.volumes[0] | expected a map with `hostPath` and `path`, found `/srv:/data:ro` | {hostPath: /srv, path: /data, readOnly: true}",
            ],
        ),
        (
            "image: a:1\nvolumes: [./srv:/data]",
            &[
                "7:13 spec.volumes[0] | `./srv` depends on who applies it; write an absolute path of the node | {hostPath: /srv/data, path: /data}",
            ],
        ),
        (
            "image: a:1\nvolumes: [{hostPath: srv, path: /data}]",
            &["7:24 spec.volumes[0].hostPath | invalid path `srv`: expected an absolute path of the node"],
        ),
        (
            "image: a:1\nvolumes: [{hostPath: /srv, name: a, path: /data}]",
            &["7:24 spec.volumes[0].hostPath | a volume has a `name` or a `hostPath`; keep one of them"],
        ),
        (
            "image: a:1\nvolumes: [{hostPath: /srv, perReplica: true, path: /data}]",
            &["7:42 spec.volumes[0].perReplica | a path of the node is shared by all replicas"],
        ),
        (
            "image: a:1\nvolumes: [{path: /data}]",
            &["7:13 spec.volumes[0].name | `name` or `hostPath` is required | name: data"],
        ),
        ("image: a:1\nvolumes: {a: b}", &["7:3 spec.volumes | expected a list, found a map"]),
        (
            "image: a:1\nvolumes: [{name: a}]",
            &["7:13 spec.volumes[0].path | `path` is required | path: /data"],
        ),
        ("image: a:1\nvolumes: [{name: a, path: b}]", &["7:29 spec.volumes[0].path | invalid path `b`"]),
        (
            "image: a:1\nvolumes: [{name: a, path: /b, mountPath: /c}]",
            &["7:33 spec.volumes[0].mountPath | write the path in the container under `path`"],
        ),
    ]);
}

const BAD_OPTIONS: &[(&str, &[&str])] = &[
    ("image: a:1\nhostname: a_b", &["7:13 spec.hostname | invalid host name `a_b`"]),
    ("image: a:1\nworkingDir: app", &["7:15 spec.workingDir | invalid path `app`"]),
    ("image: a:1\ninit: yes", &["7:9 spec.init | expected `true` or `false`, found `yes` | true"]),
    (
        "image: a:1\ntmpfs: /run",
        &["7:10 spec.tmpfs | expected a list, found a single value | - {path: /cache, size: 64Mi}"],
    ),
    (
        "image: a:1\ntmpfs: [\"/run:size=1m\"]",
        &[
            "7:11 spec.tmpfs[0] | expected a map with `path` and `size`, found `/run:size=1m` | {path: /run, size: 64Mi}",
        ],
    ),
    ("image: a:1\ntmpfs: [{path: run}]", &["7:18 spec.tmpfs[0].path | invalid path `run`"]),
    ("image: a:1\nshmSize: 64m", &["7:12 spec.shmSize | `64m` means thousandths of a byte | 64Mi"]),
    (
        "image: a:1\nulimits: {files: 1}",
        &["7:20 spec.ulimits.files | unknown limit `files`; expected one of core, cpu"],
    ),
    (
        "image: a:1\nulimits: {nofile: -1}",
        &["7:21 spec.ulimits.nofile | expected a number or `unlimited`, found `-1` | unlimited"],
    ),
    (
        "image: a:1\nulimits: {nofile: {soft: 1}}",
        &["7:13 spec.ulimits.nofile.hard | `hard` is required | hard: 1024"],
    ),
    (
        "image: a:1\nsysctls: {vm.swappiness: 1}",
        &["7:28 spec.sysctls.vm.swappiness | a container has no such setting of its own"],
    ),
    (
        "image: a:1\nsysctls: [net.core.somaxconn=1024]",
        &[
            "7:3 spec.sysctls | expected a map of names to values, found a list | net.core.somaxconn: \"1024\"",
        ],
    ),
    ("image: a:1\npidsLimit: 0", &["7:14 spec.pidsLimit | must be at least 1"]),
    (
        "image: a:1\nextraHosts: [\"db:10.0.0.9\"]",
        &["7:3 spec.extraHosts | expected a map of names to addresses, found a list | db: \"10.0.0.9\""],
    ),
    (
        "image: a:1\nextraHosts: {db: other}",
        &["7:20 spec.extraHosts.db | expected an IP address or `host-gateway`, found `other`"],
    ),
    ("image: a:1\ndns: 10.0.0.2", &["7:8 spec.dns | expected a list of addresses | [10.0.0.2]"]),
    ("image: a:1\ndns: [name]", &["7:9 spec.dns[0] | expected an IP address, found `name`"]),
    ("image: a:1\ndevices: [fuse]", &["7:13 spec.devices[0] | invalid device `fuse`"]),
    ("image: a:1\nsecurity: {groups: [a b]}", &["7:23 spec.security.groups[0] | invalid group `a b`"]),
    (
        "image: a:1\nsecurity: {noNewPrivileges: no}",
        &["7:31 spec.security.noNewPrivileges | expected `true` or `false`, found `no` | false"],
    ),
];

#[test]
fn problems_of_container_options_are_refused() {
    refused(BAD_OPTIONS);
}

#[test]
fn problems_of_tls_are_refused() {
    let row = |route: &str| format!("image: a:1\nport: 80\nroute: [{{{route}}}]");
    for (route, problem) in [
        (
            "host: a.test, tls: {cert: /c}",
            "spec.route[0].tls.key | `key` is required | key: /etc/ssl/shop.key",
        ),
        ("host: a.test, tls: automatic", "spec.route[0].tls | `automatic` is not one of auto"),
        ("host: a.test, tls: [auto]", "spec.route[0].tls | expected a map, found a list"),
        ("host: a.test, tls: {cert: c, key: /k}", "spec.route[0].tls.cert | `c` must be an absolute path"),
        ("host: a.test, tls: {cert: /c, key: k}", "spec.route[0].tls.key | `k` must be an absolute path"),
        (
            "path: /x, tls: auto",
            "spec.route[0].tls | a certificate is for a host, and this route has none | host: shop.localhost",
        ),
        (
            "host: a.dev, tls: auto",
            "spec.route[0].tls | `tls: auto` issues certificates for private names only",
        ),
        ("host: a.test, httpsRedirect: true", "spec.route[0].httpsRedirect | `httpsRedirect` needs `tls`"),
        ("host: a.test, hsts: {maxAge: 1d}", "spec.route[0].hsts | `hsts` needs `tls`"),
        (
            "host: a.test, tls: auto, hsts: {maxage: 1d}",
            "spec.route[0].hsts.maxage | unknown field `maxage` | maxAge",
        ),
        (
            "host: a.test, tls: auto}, {host: a.test, path: /x, tls: {cert: /c, key: /k}",
            "spec.route[1].tls | another route of the same host has its certificate from local CA",
        ),
    ] {
        let text = row(route);
        let findings = super::run(&super::with_spec(&text)).unwrap_err();
        let shown: Vec<String> = findings.iter().map(super::row).collect();
        let shown = shown.join("\n");
        assert!(shown.contains(problem), "{route}\n{shown}");
    }
}
