//! Volumes and their mounts. Pure.

use bollard::models::{Mount as DockerMount, MountType, MountVolumeOptions, Volume, VolumeCreateRequest};

use super::labels::unordered;
use crate::engine::{BindMount, Mount, ObservedVolume, VolumeSpec};

/// The request that creates a volume.
pub(in crate::engine) fn volume(spec: &VolumeSpec) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(spec.name.clone()),
        labels: Some(unordered(&spec.labels)),
        ..VolumeCreateRequest::default()
    }
}

/// With the volume's labels: if the volume disappears before the container is created, Docker recreates it with them.
pub(super) fn mount(mount: &Mount) -> DockerMount {
    let labels = Some(unordered(&mount.volume.labels));
    DockerMount {
        typ: Some(MountType::VOLUME),
        source: Some(mount.volume.name.clone()),
        target: Some(mount.path.clone()),
        read_only: Some(mount.read_only),
        volume_options: Some(MountVolumeOptions { labels, ..MountVolumeOptions::default() }),
        ..DockerMount::default()
    }
}

/// Docker refuses a source that does not exist, instead of creating a directory.
pub(super) fn bind(bind: &BindMount) -> DockerMount {
    DockerMount {
        typ: Some(MountType::BIND),
        source: Some(bind.source.clone()),
        target: Some(bind.path.clone()),
        read_only: Some(bind.read_only),
        ..DockerMount::default()
    }
}

pub(in crate::engine) fn observed_volume(volume: Volume) -> ObservedVolume {
    ObservedVolume { name: volume.name, labels: volume.labels.into_iter().collect() }
}
