//! The [`Engine`] trait over the state of the fake: each call first asks for its fault.

use std::net::IpAddr;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};

use super::FakeEngine;
use super::faults::{Call, Fault, Mutation};
use super::world::World;
use crate::engine::{
    ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, ExecId, ExecOutcome, ImageInfo, LogLine,
    LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork, ObservedVolume, OneOffSpec, VolumeSpec,
};
use crate::model::{ContainerId, ListeningSocket, Millis};

impl FakeEngine {
    fn call<T>(
        &self,
        call: Call,
        f: impl FnOnce(&mut World, jiff::Timestamp) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.locked(|state, now| match state.faults.of(call) {
            None => f(&mut state.world, now),
            Some(Fault::Fails(error)) => Err(error),
            Some(Fault::AnswerLost) => {
                let happened = f(&mut state.world, now).is_ok();
                let message = "the answer was lost".to_owned();
                tracing::trace!(call = call.name(), happened, "answer lost");
                Err(EngineError::Unanswered { call: call.name(), message })
            }
        })
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.call(Call::Info, |_, _| Ok(self.info.clone()))
    }

    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        self.call(Call::List, |world, _| Ok(world.list()))
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.call(Call::Inspect, |world, _| world.inspect(id))
    }

    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        self.call(Call::Inspect, |world, _| world.inspect_name(name))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.call(Call::Create, |world, now| world.create(spec, now))
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(Call::Start, |world, now| world.start(id, now))
    }

    async fn connect(&self, id: &ContainerId, network: &str, address: IpAddr) -> Result<(), EngineError> {
        self.call(Call::Connect, |world, now| world.connect(id, network, address, now))
    }

    /// What [`FakeEngine::end_one_offs_with`] says; no container of it is ever seen.
    async fn run_one_off(&self, spec: &OneOffSpec) -> Result<i64, EngineError> {
        self.call(Call::RunOneOff, |world, _| {
            world.one_offs.push(spec.clone());
            Ok(world.one_off_code)
        })
    }

    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        self.call(Call::Kill, |world, now| world.kill(id, signal, now))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(Call::Remove, |world, now| {
            if let Some(name) = world.remove(id, now) {
                world.journal.push(Mutation::Remove { id: id.clone(), name });
            }
            Ok(())
        })
    }

    async fn exec(
        &self,
        id: &ContainerId,
        _command: &[String],
        _limit: Millis,
    ) -> Result<ExecOutcome, EngineError> {
        self.call(Call::Exec, |world, now| world.exec(id, now))
    }

    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError> {
        self.call(Call::ExecRuns, |world, _| world.exec_runs(exec))
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError> {
        self.call(Call::Networks, |world, _| Ok(world.networks()))
    }

    async fn subnets(&self) -> Result<Vec<String>, EngineError> {
        self.call(Call::Subnets, |world, _| Ok(world.subnets()))
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.call(Call::CreateNetwork, |world, _| world.create_network(spec))
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        self.call(Call::RemoveNetwork, |world, now| world.remove_network(name, now))
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        self.call(Call::CreateVolume, |world, _| world.create_volume(spec))
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        self.call(Call::Volumes, |world, _| Ok(world.volumes()))
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.call(Call::RemoveVolume, |world, _| world.remove_volume(name))
    }

    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError> {
        self.call(Call::Image, |world, _| world.images.get(reference))
    }

    async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        self.call(Call::Pull, |world, _| {
            world.images.pull(reference)?;
            world.journal.push(Mutation::Pull { reference: reference.to_owned() });
            Ok(())
        })
    }

    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        self.call(Call::Tag, |world, _| {
            let tag = format!("{repository}:{tag}");
            world.images.tag(image, &tag)?;
            world.journal.push(Mutation::Tag { image: image.to_owned(), tag });
            Ok(())
        })
    }

    async fn untag(&self, tag: &str) -> Result<(), EngineError> {
        self.call(Call::Untag, |world, _| world.untag(tag))
    }

    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.call(Call::Events, |world, _| Ok(world.hub.listen(since)))
    }

    /// The lines written so far; `follow` then only waits for the container's exit: tests write lines before they read.
    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        let (lines, end) = self.call(Call::Logs, |world, _| world.log(id))?;
        let recent = |line: &LogLine| options.since.is_none_or(|since| line.at.is_none_or(|at| at >= since));
        let lines: Vec<LogLine> = lines.into_iter().filter(recent).collect();
        let tail = options.tail.and_then(|n| usize::try_from(n).ok()).unwrap_or(lines.len());
        let skipped = lines.len().saturating_sub(tail);
        let written = futures::stream::iter(lines.into_iter().skip(skipped).map(Ok));
        Ok(if options.follow {
            written.chain(futures::stream::pending().take_until(end)).boxed()
        } else {
            written.boxed()
        })
    }

    async fn listening(&self, id: &ContainerId) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        self.call(Call::Listening, |world, _| world.listening(id))
    }
}
