//! What an image says about its containers: the parts of its configuration that a release depends on. Pure.
//!
//! It is read once, when the image is resolved, and kept with the revision: nothing of an image is guessed later.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AppName, ServiceName, ServiceSpec, StoreId, Volume, sha256_hex};

/// Digits of the path's hash in the name of an image volume: no two paths of an image share them.
const PATH_HASH_DIGITS: usize = 8;

/// The configuration of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Docker CMD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Paths of its VOLUMEs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// TCP ports that it EXPOSEs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// The command of its HEALTHCHECK as it is executed: `/bin/sh -c …` for the shell form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Vec<String>>,
}

/// A VOLUME of an image that the manifest does not mount. Each slot of the service has its own, which outlives its
/// containers as a named volume does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageVolume<'a> {
    /// Absolute path in the container.
    pub path: &'a str,
}

impl ImageVolume<'_> {
    /// Its name in Docker: `coxswain-shop.db.2.0fc1a8d3-5708e000`. It has one dot more than any name of
    /// [`Volume::docker_name`].
    pub fn docker_name(&self, app: &AppName, service: &ServiceName, slot: u32, store: &StoreId) -> String {
        let mut hash = sha256_hex(self.path.as_bytes());
        hash.truncate(PATH_HASH_DIGITS);
        format!("coxswain-{app}.{service}.{slot}.{hash}-{}", store.short())
    }
}

impl ImageConfig {
    /// Its VOLUMEs that no volume and no tmpfs of the spec mounts exactly. A volume above or below a VOLUME does not take its place:
    /// Docker mounts both.
    pub fn uncovered_volumes<'a>(&'a self, spec: &ServiceSpec) -> Vec<ImageVolume<'a>> {
        let is_covered = |path: &str| {
            spec.volumes.iter().any(|volume| volume.path == path)
                || spec.options.tmpfs.iter().any(|tmpfs| tmpfs.path == path)
        };
        let uncovered = self.volumes.iter().filter(|path| !is_covered(path));
        uncovered.map(|path| ImageVolume { path }).collect()
    }

    /// Its VOLUMEs that `before` does not have, below a volume of the spec, with that volume: they hide what is there.
    pub fn hidden_paths<'a>(
        &'a self,
        before: &ImageConfig,
        spec: &'a ServiceSpec,
    ) -> BTreeMap<&'a str, &'a Volume> {
        let holder = |path: &str| spec.volumes.iter().find(|volume| is_below(path, &volume.path));
        let added = self.uncovered_volumes(spec).into_iter().filter(|v| !before.volumes.contains(v.path));
        added.filter_map(|volume| Some((volume.path, holder(volume.path)?))).collect()
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

/// A path of VOLUME as the kernel mounts it: `/data/` and `/data/.` are `/data`. `None` for a path that no volume can
/// have.
pub fn volume_path(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(volumes: &[&str]) -> ImageConfig {
        let volumes = volumes.iter().map(|path| (*path).to_owned()).collect();
        ImageConfig { volumes, ..ImageConfig::default() }
    }

    fn mounting(paths: &[&str]) -> ServiceSpec {
        let volume = |path: &&str| Volume::named("data", *path);
        ServiceSpec { volumes: paths.iter().map(volume).collect(), ..ServiceSpec::of_image("db:1") }
    }

    #[test]
    fn uncovered_volumes_are_those_without_a_volume_at_exactly_their_path() {
        for (declared, mounted, uncovered) in [
            (&["/data/db"][..], &[][..], &["/data/db"][..]),
            (&["/data/db"], &["/data/db"], &[]),
            (&["/data/db"], &["/data"], &["/data/db"]),
            (&["/data/db"], &["/data/db/wal"], &["/data/db"]),
            (&["/a", "/b"], &["/b"], &["/a"]),
            (&[], &["/a"], &[]),
        ] {
            let image = image(declared);
            let paths: Vec<&str> =
                image.uncovered_volumes(&mounting(mounted)).iter().map(|volume| volume.path).collect();
            assert_eq!(paths, uncovered, "{declared:?} with {mounted:?}");
        }
    }

    #[test]
    fn hidden_paths_are_volumes_that_an_image_adds_below_a_mount() {
        let hidden = |before: &[&str], after: &[&str], mounted: &[&str]| -> Vec<String> {
            let spec = mounting(mounted);
            image(after).hidden_paths(&image(before), &spec).into_keys().map(str::to_owned).collect()
        };
        assert_eq!(hidden(&[], &["/data/db"], &["/data"]), ["/data/db"]);
        assert_eq!(hidden(&["/data/db"], &["/data/db"], &["/data"]), [""; 0], "it was there before");
        assert_eq!(hidden(&[], &["/data"], &["/data"]), [""; 0], "the mount takes its place");
        assert_eq!(hidden(&[], &["/database"], &["/data"]), [""; 0]);
    }

    #[test]
    fn docker_name_is_unique_per_service_slot_and_path() {
        let store = StoreId::new("5708e000-0000-4000-8000-000000000000");
        let name = |service: &str, path: &str, slot| {
            ImageVolume { path }.docker_name(&AppName::new("shop"), &ServiceName::new(service), slot, &store)
        };
        let first = name("db", "/data/db", 1);
        assert!(first.starts_with("coxswain-shop.db.1.") && first.ends_with("-5708e000"), "{first}");
        assert_ne!(first, name("db", "/data/db", 2));
        assert_ne!(first, name("db", "/data/configdb", 1));
        assert_ne!(first, name("db2", "/data/db", 1));
    }

    #[test]
    fn volume_path_is_the_path_that_is_mounted() {
        for (text, path) in [
            ("/data", Some("/data")),
            ("/data/", Some("/data")),
            ("data//db/.", Some("/data/db")),
            ("/data/../var", Some("/var")),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(volume_path(text).as_deref(), path, "{text}");
        }
    }
}
