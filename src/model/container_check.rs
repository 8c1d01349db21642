//! The rules of the options of a container. What a kernel or an Engine refuses besides is reported by the replica. Pure.

use super::{ContainerOptions, Problem, ServiceSpec, Volume, is_host_name};

/// Limits that `setrlimit` knows, as Docker calls them.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Settings that a container has for itself; every other one is the node's.
const SYSCTLS: [&str; 6] =
    ["net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm", "kernel.shm_rmid_forced"];

/// A name in the kernel has at most 64 characters.
const HOSTNAME_MAX: usize = 63;

/// Most entries of each list and map: a manifest with more is a mistake.
const ENTRIES_MAX: usize = 64;

pub(super) fn problems(spec: &ServiceSpec) -> Vec<Problem> {
    let options = &spec.options;
    let mut problems = names(options);
    problems.extend(paths(options, &spec.volumes));
    problems.extend(kernel(options));
    problems.extend(groups(spec));
    let counts = [
        ("tmpfs", options.tmpfs.len()),
        ("ulimits", options.ulimits.len()),
        ("sysctls", options.sysctls.len()),
        ("extraHosts", options.extra_hosts.len()),
        ("devices", options.devices.len()),
        ("security.groups", spec.security.groups.len()),
    ];
    for (field, count) in counts {
        if count > ENTRIES_MAX {
            let message = format!("{count} entries; at most {ENTRIES_MAX} are allowed");
            problems.push(Problem::new(format!("spec.{field}"), message));
        }
    }
    problems
}

fn names(options: &ContainerOptions) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(name) = &options.hostname
        && (!is_host_name(&name.to_ascii_lowercase()) || name.len() > HOSTNAME_MAX)
    {
        let message = format!("invalid host name `{name}`: expected letters, digits and hyphens in labels");
        problems.push(Problem::new("spec.hostname", message));
    }
    for name in options.extra_hosts.keys() {
        if !is_host_name(&name.to_ascii_lowercase()) {
            let message = format!("invalid host name `{name}`");
            problems.push(Problem::new(format!("spec.extraHosts.{name}"), message));
        }
    }
    let words = options.dns.search.iter().map(|word| ("search", word));
    for (field, word) in words.chain(options.dns.options.iter().map(|word| ("options", word))) {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let message = format!("`{word}` is not one word of /etc/resolv.conf");
            problems.push(Problem::new(format!("spec.dns.{field}"), message));
        }
    }
    problems
}

fn paths(options: &ContainerOptions, volumes: &[Volume]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(path) = &options.working_dir
        && (!path.starts_with('/') || path.contains(char::is_control))
    {
        let message = format!("invalid path `{path}`: expected an absolute path in the container");
        problems.push(Problem::new("spec.workingDir", message));
    }
    for (i, tmpfs) in options.tmpfs.iter().enumerate() {
        let field = |name: &str| format!("spec.tmpfs[{i}].{name}");
        let path = &tmpfs.path;
        if let Some(message) = super::volume::path_problem(path) {
            problems.push(Problem::new(field("path"), message));
        } else if path.contains(':') {
            problems.push(Problem::new(field("path"), format!("path `{path}` must not contain `:`")));
        }
        let is_taken = volumes.iter().any(|volume| volume.path == *path)
            || options.tmpfs[..i].iter().any(|other| other.path == *path);
        if is_taken {
            problems.push(Problem::new(field("path"), format!("duplicate mount path `{path}`")));
        }
        if tmpfs.size.0 == 0 {
            problems.push(Problem::new(field("size"), "must be greater than 0"));
        }
    }
    if options.shm_size.is_some_and(|size| size.0 == 0) {
        problems.push(Problem::new("spec.shmSize", "must be greater than 0"));
    }
    for (i, device) in options.devices.iter().enumerate() {
        let is_device = device.strip_prefix("/dev/").is_some_and(|rest| {
            !rest.is_empty() && !rest.split('/').any(|part| matches!(part, "" | "." | ".."))
        });
        if !is_device || device.contains([':', '\0']) {
            let message = format!("invalid device `{device}`: expected a path such as /dev/fuse");
            problems.push(Problem::new(format!("spec.devices[{i}]"), message));
        }
    }
    problems
}

fn kernel(options: &ContainerOptions) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, limit) in &options.ulimits {
        if !ULIMITS.contains(&name.as_str()) {
            let message = format!("unknown limit `{name}`; expected one of {}", ULIMITS.join(", "));
            problems.push(Problem::new(format!("spec.ulimits.{name}"), message));
        } else if limit.soft.is_above(limit.hard) {
            let message = "`soft` must not be above `hard`";
            problems.push(Problem::new(format!("spec.ulimits.{name}"), message));
        }
    }
    for (name, value) in &options.sysctls {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
        let field = || format!("spec.sysctls.{name}");
        if !is_name || !SYSCTLS.iter().any(|own| name.starts_with(own)) {
            let message = "a container has no such setting of its own; `net.*`, `kernel.shm*`, `kernel.msg*`, `kernel.sem` and \
                           `fs.mqueue.*` can be set, every other one is the node's";
            problems.push(Problem::new(field(), message));
        } else if value.is_empty() || value.contains(char::is_control) {
            problems.push(Problem::new(field(), "the value must not be empty or contain control characters"));
        }
    }
    if options.pids_limit == 0 {
        problems.push(Problem::new("spec.pidsLimit", "must be at least 1"));
    }
    problems
}

fn groups(spec: &ServiceSpec) -> Vec<Problem> {
    let is_group = |group: &String| {
        !group.is_empty() && group.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let wrong = spec.security.groups.iter().enumerate().filter(|(_, group)| !is_group(group));
    wrong
        .map(|(i, group)| {
            let message = format!("invalid group `{group}`: expected a number, or a name of the image");
            Problem::new(format!("spec.security.groups[{i}]"), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MemorySize, Tmpfs, Ulimit, UlimitValue};

    #[test]
    fn problems_name_the_field_of_each_wrong_option() {
        type Break = fn(&mut ServiceSpec);
        let cases: &[(&str, Break)] = &[
            ("spec.hostname", |s| s.options.hostname = Some("a_b".into())),
            ("spec.hostname", |s| s.options.hostname = Some("a".repeat(64))),
            ("spec.workingDir", |s| s.options.working_dir = Some("app".into())),
            ("spec.tmpfs[0].path", |s| {
                s.options.tmpfs = vec![Tmpfs { path: "cache".into(), size: MemorySize(1) }];
            }),
            ("spec.tmpfs[0].path", |s| {
                s.options.tmpfs = vec![Tmpfs { path: "/a:b".into(), size: MemorySize(1) }];
            }),
            ("spec.tmpfs[0].size", |s| {
                s.options.tmpfs = vec![Tmpfs { path: "/a".into(), size: MemorySize(0) }];
            }),
            ("spec.tmpfs[1].path", |s| {
                s.options.tmpfs = vec![Tmpfs { path: "/a".into(), size: MemorySize(1) }; 2];
            }),
            ("spec.tmpfs[0].path", |s| {
                s.options.tmpfs = vec![Tmpfs { path: "/data".into(), size: MemorySize(1) }];
                s.volumes = vec![Volume::named("data", "/data")];
            }),
            ("spec.shmSize", |s| s.options.shm_size = Some(MemorySize(0))),
            ("spec.ulimits.files", |s| {
                let one = UlimitValue::Number(1);
                s.options.ulimits.insert("files".into(), Ulimit { soft: one, hard: one });
            }),
            ("spec.ulimits.nofile", |s| {
                let limit = Ulimit { soft: UlimitValue::Number(2), hard: UlimitValue::Number(1) };
                s.options.ulimits.insert("nofile".into(), limit);
            }),
            ("spec.sysctls.vm.swappiness", |s| {
                s.options.sysctls.insert("vm.swappiness".into(), "1".into());
            }),
            ("spec.sysctls.net.core.somaxconn", |s| {
                s.options.sysctls.insert("net.core.somaxconn".into(), String::new());
            }),
            ("spec.pidsLimit", |s| s.options.pids_limit = 0),
            ("spec.extraHosts.a b", |s| {
                s.options.extra_hosts.insert("a b".into(), serde_json::from_str("\"10.0.0.1\"").unwrap());
            }),
            ("spec.dns.search", |s| s.options.dns.search = vec!["a b".into()]),
            ("spec.dns.options", |s| s.options.dns.options = vec![String::new()]),
            ("spec.devices[0]", |s| s.options.devices = vec!["fuse".into()]),
            ("spec.devices[0]", |s| s.options.devices = vec!["/dev/../etc".into()]),
            ("spec.security.groups[0]", |s| s.security.groups = vec!["a b".into()]),
            ("spec.devices", |s| s.options.devices = vec!["/dev/fuse".into(); ENTRIES_MAX + 1]),
        ];
        for (path, spoil) in cases {
            let mut spec = ServiceSpec::of_image("web:1");
            spoil(&mut spec);
            let paths: Vec<String> = problems(&spec).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [*path], "{path}");
        }
        assert_eq!(problems(&ServiceSpec::of_image("web:1")), vec![]);
    }
}
