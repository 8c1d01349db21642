//! Volumes: storage that outlives containers. Pure.

use serde::{Deserialize, Serialize};

use super::{AppName, LIMITS, Problem, ServiceName, StoreId};

/// A named volume and its mount path. Services of one app that use the same name share the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    #[serde(flatten)]
    pub origin: VolumeOrigin,
    /// Absolute path in the container.
    pub path: String,
    /// Mounted read-only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Each slot has a separate volume; otherwise all replicas share one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_replica: bool,
}

/// Where the data of a volume is. Serialises as one key: `name: data`, `hostPath: /srv/data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeOrigin {
    /// In a volume of Docker that Coxswain creates; its name within the app.
    Name(String),
    /// In a directory or file of the node.
    HostPath(String),
}

impl Volume {
    /// A named volume that is mounted writable and shared.
    pub fn named(name: impl Into<String>, path: impl Into<String>) -> Self {
        let origin = VolumeOrigin::Name(name.into());
        Self { origin, path: path.into(), read_only: false, per_replica: false }
    }

    /// Its name within the app; `None` for a path of the node.
    pub fn name(&self) -> Option<&str> {
        match &self.origin {
            VolumeOrigin::Name(name) => Some(name),
            VolumeOrigin::HostPath(_) => None,
        }
    }

    /// The path of the node; `None` for a named volume.
    pub fn host_path(&self) -> Option<&str> {
        match &self.origin {
            VolumeOrigin::Name(_) => None,
            VolumeOrigin::HostPath(path) => Some(path),
        }
    }

    /// Its name, or the path of the node, for messages.
    pub fn shown_origin(&self) -> &str {
        match &self.origin {
            VolumeOrigin::Name(text) | VolumeOrigin::HostPath(text) => text,
        }
    }

    /// Its name in Docker: `coxswain-shop.avatars-5708e000`, with its slot `coxswain-shop.avatars.2-5708e000`. The dots,
    /// which no name of ours has, keep app `a-b` with volume `c` from app `a` with volume `b-c`. `None` for a path of the
    /// node.
    pub fn docker_name(&self, app: &AppName, slot: u32, store: &StoreId) -> Option<String> {
        let slot = if self.per_replica { format!(".{slot}") } else { String::new() };
        Some(format!("coxswain-{app}.{}{slot}-{}", self.name()?, store.short()))
    }
}

/// The problems of the volumes of a spec.
pub(super) fn check(volumes: &[Volume]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, volume) in volumes.iter().enumerate() {
        let mut wrong = |field: &str, message: String| {
            problems.push(Problem::new(format!("spec.volumes[{i}].{field}"), message))
        };
        match &volume.origin {
            VolumeOrigin::Name(name) => {
                if let Err(error) = ServiceName::parse(name) {
                    wrong("name", error.to_string());
                }
            }
            VolumeOrigin::HostPath(path) => {
                if let Some(message) = host_path_problem(path) {
                    wrong("hostPath", message);
                }
                if volume.per_replica {
                    wrong(
                        "perReplica",
                        "a path of the node is shared by all replicas; remove `perReplica`".to_owned(),
                    );
                }
            }
        }
        if let Some(message) = path_problem(&volume.path) {
            wrong("path", message);
        }
        let earlier = &volumes[..i];
        if let Some(name) = volume.name()
            && earlier.iter().any(|v| v.name() == Some(name))
        {
            wrong("name", format!("duplicate volume name `{name}`"));
        }
        if earlier.iter().any(|v| v.path == volume.path) {
            wrong("path", format!("duplicate mount path `{}`", volume.path));
        }
    }
    problems
}

fn host_path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.len() > LIMITS.path || path.contains(char::is_control) {
        Some(format!("invalid path `{path}`: expected an absolute path of the node"))
    } else if path.len() > 1 && (path.ends_with('/') || has_odd_part(path)) {
        Some(format!("path `{path}` must not contain `//`, `.` or `..`, or end with `/`"))
    } else {
        None
    }
}

fn has_odd_part(path: &str) -> bool {
    path[1..].split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// The problem of a path in the container at which something is mounted.
pub(super) fn path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.len() > LIMITS.path || path.contains(char::is_control) {
        Some(format!("invalid path `{path}`: expected an absolute path in the container"))
    } else if path == "/" {
        Some("a volume cannot be mounted at `/`".to_owned())
    } else if path.ends_with('/') || has_odd_part(path) {
        Some(format!("path `{path}` must not contain `//`, `.` or `..`, or end with `/`"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, path: &str) -> Volume {
        Volume::named(name, path)
    }

    #[test]
    fn docker_name_is_unique_per_app_volume_and_slot() {
        let store = StoreId::new("5708e000-0000-4000-8000-000000000000");
        let name =
            |app: &str, volume: &Volume, slot| volume.docker_name(&AppName::new(app), slot, &store).unwrap();
        let shared = volume("data", "/d");
        let own = Volume { per_replica: true, ..shared.clone() };
        assert_eq!(name("shop", &shared, 2), "coxswain-shop.data-5708e000");
        assert_eq!(name("shop", &own, 2), "coxswain-shop.data.2-5708e000");
        assert_ne!(name("a-b", &volume("c", "/"), 1), name("a", &volume("b-c", "/"), 1));
        assert_ne!(name("a", &volume("data-2", "/"), 1), name("a", &own, 2));
    }

    #[test]
    fn check_refuses_paths_of_the_node_that_are_none() {
        let host = |path: &str, per_replica| Volume {
            origin: VolumeOrigin::HostPath(path.into()),
            per_replica,
            ..volume("x", "/data")
        };
        for path in ["/srv", "/", "/srv/a.b"] {
            assert_eq!(check(&[host(path, false)]), vec![], "{path}");
        }
        for path in ["srv", "./srv", "", "/srv/", "/srv/../etc", "/srv//a", "/a\0"] {
            let found = check(&[host(path, false)]);
            assert_eq!(found[0].path, "spec.volumes[0].hostPath", "{path}");
        }
        assert_eq!(check(&[host("/srv", true)])[0].path, "spec.volumes[0].perReplica");
        let json = serde_json::json!({"hostPath": "/srv", "path": "/data"});
        assert_eq!(serde_json::to_value(host("/srv", false)).unwrap(), json);
        assert_eq!(serde_json::from_value::<Volume>(json).unwrap(), host("/srv", false));
    }

    #[test]
    fn check_names_the_field_of_each_problem() {
        let sound = volume("data", "/data");
        assert_eq!(check(std::slice::from_ref(&sound)), vec![]);
        for (name, path, field) in [
            ("Data", "/else", "name"),
            ("", "/else", "name"),
            ("data", "/else", "name"),
            ("other", "/data", "path"),
            ("other", "data", "path"),
            ("other", "/", "path"),
            ("other", "/a/../b", "path"),
            ("other", "/a/", "path"),
        ] {
            let paths: Vec<String> =
                check(&[sound.clone(), volume(name, path)]).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [format!("spec.volumes[1].{field}")], "{name} {path}");
        }
    }
}
