//! Volumes of a service: who shares them, and their end, which comes only where the user named them.
//!
//! A pass asks for the removal and goes on; a loop beside it waits for Docker, so that a slow one holds no other service
//! up. What a pass asked for is remembered, never stored: the deleted Service stays until its volumes are gone, and a
//! daemon that starts finds it and asks again.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::agent::backoff;
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{Mono, Service, ServiceName, StoreId, Volume, key};

/// The removal of a deleted service's volumes, as far as this run has brought it.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    step: Step,
    /// Attempts in a row that failed.
    failures: u32,
    /// Why the last one did, in words for people.
    held_by: Option<String>,
}

#[derive(Debug, Default)]
enum Step {
    /// Nobody asked for it.
    #[default]
    Idle,
    /// A pass asked for it.
    Wanted(Box<Service>),
    /// Docker is at it.
    UnderWay,
    /// It failed, and is not tried again before.
    Rests(Mono),
    /// None of them is left.
    Done,
}

impl Removal {
    /// What keeps the volumes from going, in words for people.
    pub(crate) fn held_by(&self) -> Option<String> {
        self.held_by.clone()
    }

    /// Asks for it, where it is neither asked for nor done; says whether it is done. That is said once: whoever hears it
    /// forgets the service, or asks anew.
    fn ask(&mut self, service: &Service, now: Mono) -> bool {
        match &self.step {
            Step::Done => {
                *self = Self::default();
                return true;
            }
            Step::Idle => self.step = Step::Wanted(Box::new(service.clone())),
            Step::Rests(until) if now >= *until => self.step = Step::Wanted(Box::new(service.clone())),
            Step::Rests(_) | Step::Wanted(_) | Step::UnderWay => {}
        }
        false
    }

    fn take_wanted(&mut self) -> Option<Service> {
        match std::mem::replace(&mut self.step, Step::UnderWay) {
            Step::Wanted(service) => Some(*service),
            other => {
                self.step = other;
                None
            }
        }
    }

    /// An attempt ended; what is to be told of it and was not told before.
    fn ended(&mut self, outcome: Result<(), String>, now: Mono) -> Option<String> {
        let held_by = outcome.err();
        self.step = match &held_by {
            None => Step::Done,
            Some(_) => {
                self.failures = self.failures.saturating_add(1);
                Step::Rests(now.after(backoff::retry(self.failures)))
            }
        };
        let before = std::mem::replace(&mut self.held_by, held_by.clone());
        held_by.filter(|message| before.as_ref() != Some(message))
    }

    fn tried_again_at(&self) -> Option<Mono> {
        match self.step {
            Step::Rests(until) => Some(until),
            _ => None,
        }
    }
}

/// Names in Docker of the volumes that a service declares, for the slots it wants.
pub(crate) fn docker_names(service: &Service, store: &StoreId) -> Vec<String> {
    let slots = |volume: &Volume| if volume.per_replica { service.spec.replica_count() } else { 1 };
    let names = |volume: &Volume| {
        let (volume, app) = (volume.clone(), service.metadata.app.clone());
        (1..=slots(&volume)).map(move |slot| volume.docker_name(&app, slot, store))
    };
    service.spec.volumes.iter().flat_map(names).collect()
}

impl Controller {
    /// Refuses to delete volumes that a service outside of `names` declares as well.
    pub(crate) async fn check_volumes_unshared(&self, names: &[ServiceName]) -> Result<(), ControllerError> {
        for name in names {
            let Some(service) = self.store.get(&key::service(name)).await? else { continue };
            let service: Service = service.decode()?;
            for other in self.others_of_app(&service, names).await? {
                let shared = service.spec.volumes.iter().find(|v| declares(&other, &v.name));
                if let Some(volume) = shared {
                    let (volume, by) = (volume.name.clone(), other.name().clone());
                    return Err(ControllerError::VolumeShared { volume, service: name.clone(), by });
                }
            }
        }
        Ok(())
    }

    /// Services of the same app that stay, but for these.
    async fn others_of_app(
        &self,
        service: &Service,
        but: &[ServiceName],
    ) -> Result<Vec<Service>, ControllerError> {
        let mut others = Vec::new();
        for name in ServiceState::names(self.store.as_ref()).await? {
            let Some(entry) = self.store.get(&key::service(&name)).await? else { continue };
            let other: Service = entry.decode()?;
            let same_app = other.metadata.app == service.metadata.app;
            if same_app && other.deleted_at.is_none() && !but.contains(&name) && name != *service.name() {
                others.push(other);
            }
        }
        Ok(others)
    }

    /// Whether the volumes that the user named with a deleted service are gone; asks for their removal where they are not.
    pub(crate) fn volumes_are_gone(&self, service: &Service) -> bool {
        let (name, now) = (service.name(), self.clock.mono());
        let (gone, again_at) = self
            .remembered(name, |memory| (memory.volumes.ask(service, now), memory.volumes.tried_again_at()));
        self.queued(|queue| queue.mark_at(name.clone(), again_at));
        self.volumes_wanted.notify_one();
        gone
    }

    /// Removes volumes as passes ask for it, each service's beside the others', for as long as it is polled.
    pub async fn remove_volumes_when_asked(&self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            under_way.extend(self.wanted_removals().into_iter().map(|service| self.remove_and_tell(service)));
            tokio::select! {
                () = self.volumes_wanted.notified() => {}
                Some(()) = under_way.next() => {}
            }
        }
    }

    fn wanted_removals(&self) -> Vec<Service> {
        let mut memory = self.memory.lock();
        memory.values_mut().filter_map(|memory| memory.volumes.take_wanted()).collect()
    }

    /// One attempt; the pass that it wakes hears how it ended.
    async fn remove_and_tell(&self, service: Service) {
        let (name, outcome) = (service.name(), self.remove_volumes(&service).await);
        let now = self.clock.mono();
        if let Some(message) = self.remembered(name, |memory| memory.volumes.ended(outcome, now)) {
            tracing::warn!(service = %name, message, "its volumes stay for now");
        }
        self.mark(name.clone());
    }

    /// Removes the volumes that the user named with the service, now that none of its containers is left. A volume that
    /// another service has come to declare meanwhile stays.
    ///
    /// # Errors
    /// A text for people: a volume is in use by a container that is not ours, or the Engine or the store is away.
    async fn remove_volumes(&self, service: &Service) -> Result<(), String> {
        let others = self.others_of_app(service, &[]).await.map_err(|error| error.to_string())?;
        let going = service.spec.volumes.iter().map(|v| v.name.clone());
        let going: BTreeSet<String> =
            going.filter(|name| !others.iter().any(|other| declares(other, name))).collect();
        if going.is_empty() {
            return Ok(());
        }
        self.links.remove_volumes(&service.metadata.app, &going).await.map_err(|error| error.to_string())
    }
}

fn declares(service: &Service, volume: &str) -> bool {
    service.spec.volumes.iter().any(|v| v.name == volume)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_removal_is_asked_for_once_at_a_time_and_again_after_a_wait_that_grows() {
        let (service, mut removal) = (testing::service("users"), Removal::default());
        let asked =
            |removal: &mut Removal, at| (removal.ask(&service, Mono(at)), removal.take_wanted().is_some());
        assert_eq!(asked(&mut removal, 0), (false, true));
        assert_eq!(asked(&mut removal, 0), (false, false), "it is under way");
        let in_use = || Err("in use".to_owned());
        assert_eq!(removal.ended(in_use(), Mono(0)), Some("in use".to_owned()));
        assert_eq!(asked(&mut removal, 999), (false, false));
        assert_eq!(asked(&mut removal, 1_000), (false, true));
        assert_eq!(removal.held_by(), Some("in use".to_owned()), "it shows while it is tried again");
        assert_eq!(removal.ended(in_use(), Mono(1_000)), None, "told once");
        assert_eq!(removal.tried_again_at(), Some(Mono(3_000)));
        assert_eq!(asked(&mut removal, 3_000), (false, true));
        assert_eq!(removal.ended(Ok(()), Mono(3_000)), None);
        assert_eq!((asked(&mut removal, 3_000), removal.held_by()), ((true, false), None));
        assert_eq!(asked(&mut removal, 3_000), (false, true), "the next service of that name has its own");
    }
}
