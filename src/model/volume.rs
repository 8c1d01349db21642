//! Volumes: storage that outlives containers. Pure.

use serde::{Deserialize, Serialize};

use super::{AppName, LIMITS, Problem, ServiceName, StoreId};

/// A named volume and its mount path. Services of one app that use the same name share the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name within the app.
    pub name: String,
    /// Absolute path in the container.
    pub path: String,
    /// Mounted read-only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Each slot has a separate volume; otherwise all replicas share one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_replica: bool,
}

impl Volume {
    /// Its name in Docker: `coxswain-shop.avatars-5708e000`, with its slot `coxswain-shop.avatars.2-5708e000`. The dots,
    /// which no name of ours has, keep app `a-b` with volume `c` from app `a` with volume `b-c`.
    pub fn docker_name(&self, app: &AppName, slot: u32, store: &StoreId) -> String {
        let slot = if self.per_replica { format!(".{slot}") } else { String::new() };
        format!("coxswain-{app}.{}{slot}-{}", self.name, store.short())
    }
}

/// The problems of the volumes of a spec.
pub(super) fn check(volumes: &[Volume]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, volume) in volumes.iter().enumerate() {
        let mut wrong = |field: &str, message: String| {
            problems.push(Problem::new(format!("spec.volumes[{i}].{field}"), message))
        };
        if let Err(error) = ServiceName::parse(&volume.name) {
            wrong("name", error.to_string());
        }
        if let Some(message) = path_problem(&volume.path) {
            wrong("path", message);
        }
        let earlier = &volumes[..i];
        if earlier.iter().any(|v| v.name == volume.name) {
            wrong("name", format!("duplicate volume name `{}`", volume.name));
        }
        if earlier.iter().any(|v| v.path == volume.path) {
            wrong("path", format!("duplicate mount path `{}`", volume.path));
        }
    }
    problems
}

fn path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.len() > LIMITS.path || path.contains(char::is_control) {
        Some(format!("invalid path `{path}`: expected an absolute path in the container"))
    } else if path == "/" {
        Some("a volume cannot be mounted at `/`".to_owned())
    } else if path.ends_with('/') || path[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some(format!("path `{path}` must not contain `//`, `.` or `..`, or end with `/`"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, path: &str) -> Volume {
        Volume { name: name.into(), path: path.into(), read_only: false, per_replica: false }
    }

    #[test]
    fn docker_name_is_unique_per_app_volume_and_slot() {
        let store = StoreId::new("5708e000-0000-4000-8000-000000000000");
        let name = |app: &str, volume: &Volume, slot| volume.docker_name(&AppName::new(app), slot, &store);
        let shared = volume("data", "/d");
        let own = Volume { per_replica: true, ..shared.clone() };
        assert_eq!(name("shop", &shared, 2), "coxswain-shop.data-5708e000");
        assert_eq!(name("shop", &own, 2), "coxswain-shop.data.2-5708e000");
        assert_ne!(name("a-b", &volume("c", "/"), 1), name("a", &volume("b-c", "/"), 1));
        assert_ne!(name("a", &volume("data-2", "/"), 1), name("a", &own, 2));
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
