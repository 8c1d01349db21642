//! Volumes as users know them: by the name in a manifest, or by the service and path of an image's VOLUME. Pure.

use std::collections::BTreeSet;

use crate::engine::{LABEL_APP, LABEL_SERVICE, LABEL_VOLUME, LABEL_VOLUME_PATH, ObservedVolume, is_of_store};
use crate::model::{AppName, ServiceName, StoreId};

/// A volume on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVolume {
    /// Its name in Docker.
    pub name: String,
    pub app: AppName,
    pub source: VolumeSource,
}

/// What declares a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// Manifests of the app, under this name.
    Manifest(String),
    /// The image of a service, as a VOLUME at this path.
    Image { service: ServiceName, path: String },
}

/// Volumes that are removed with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoomedVolumes {
    pub app: AppName,
    /// Names in its manifest that no other service of the app uses.
    pub names: BTreeSet<String>,
    /// The service, whose VOLUMEs of its images go too.
    pub service: ServiceName,
}

impl NodeVolume {
    /// `None` for a volume of another store, or without the labels of ours.
    pub(super) fn of(volume: &ObservedVolume, store: &StoreId) -> Option<Self> {
        let label = |label: &str| volume.labels.get(label);
        if !is_of_store(&volume.labels, store) {
            return None;
        }
        let source = match (label(LABEL_VOLUME), label(LABEL_SERVICE), label(LABEL_VOLUME_PATH)) {
            (Some(name), _, _) => VolumeSource::Manifest(name.clone()),
            (None, Some(service), Some(path)) => {
                VolumeSource::Image { service: ServiceName::new(service), path: path.clone() }
            }
            _ => return None,
        };
        Some(Self { name: volume.name.clone(), app: AppName::new(label(LABEL_APP)?), source })
    }
}

impl DoomedVolumes {
    /// Whether a volume is one of them.
    pub(super) fn include(&self, volume: &NodeVolume) -> bool {
        let is_doomed = match &volume.source {
            VolumeSource::Manifest(name) => self.names.contains(name),
            VolumeSource::Image { service, .. } => *service == self.service,
        };
        volume.app == self.app && is_doomed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::LABEL_STORE;

    fn volume(labels: &[(&str, &str)]) -> Option<NodeVolume> {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
        let volume = ObservedVolume { name: "v".into(), labels: labels.collect() };
        NodeVolume::of(&volume, &StoreId::new("s"))
    }

    const OURS: (&str, &str) = (LABEL_STORE, "s");
    const APP: (&str, &str) = (LABEL_APP, "shop");

    #[test]
    fn node_volume_is_read_from_labels_of_this_store_alone() {
        let named = volume(&[OURS, APP, (LABEL_VOLUME, "data")]).unwrap();
        assert_eq!(named.source, VolumeSource::Manifest("data".into()));
        let of_image = volume(&[OURS, APP, (LABEL_SERVICE, "db"), (LABEL_VOLUME_PATH, "/data")]).unwrap();
        assert_eq!(of_image.source, VolumeSource::Image { service: "db".into(), path: "/data".into() });
        for foreign in [
            &[APP, (LABEL_VOLUME, "data")][..],
            &[(LABEL_STORE, "other"), APP, (LABEL_VOLUME, "data")],
            &[OURS, (LABEL_VOLUME, "data")],
            &[OURS, APP, (LABEL_SERVICE, "db")],
        ] {
            assert_eq!(volume(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn doomed_volumes_are_those_named_and_those_of_the_services_images() {
        let doomed =
            DoomedVolumes { app: "shop".into(), names: ["data".to_owned()].into(), service: "db".into() };
        let includes = |labels: &[(&str, &str)]| doomed.include(&volume(labels).unwrap());
        assert!(includes(&[OURS, APP, (LABEL_VOLUME, "data")]));
        assert!(includes(&[OURS, APP, (LABEL_SERVICE, "db"), (LABEL_VOLUME_PATH, "/data")]));
        assert!(!includes(&[OURS, APP, (LABEL_VOLUME, "other")]));
        assert!(!includes(&[OURS, APP, (LABEL_SERVICE, "web"), (LABEL_VOLUME_PATH, "/data")]));
        assert!(!includes(&[OURS, (LABEL_APP, "office"), (LABEL_VOLUME, "data")]));
    }
}
