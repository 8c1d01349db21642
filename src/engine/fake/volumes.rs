//! Named volumes of the fake: they outlive containers, and a volume that a container mounts cannot be removed.

use super::world::World;
use crate::engine::{EngineError, LABEL_STORE, ObservedVolume, VolumeSpec};

impl World {
    pub(super) fn create_volume(&mut self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let VolumeSpec { name, labels } = spec.clone();
        self.volumes.entry(name.clone()).or_insert(ObservedVolume { name, labels }).check_is(spec)
    }

    pub(super) fn volumes(&self) -> Vec<ObservedVolume> {
        self.volumes.values().filter(|v| v.labels.contains_key(LABEL_STORE)).cloned().collect()
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Result<(), EngineError> {
        if let Some(user) = self.specs().find(|spec| spec.mounts.iter().any(|m| m.volume.name == name)) {
            let message = format!("remove {name}: volume is in use - [{}]", user.name);
            return Err(EngineError::Conflict { message });
        }
        self.volumes.remove(name);
        Ok(())
    }
}
