//! Faults between a caller and the fake, and the journal of changes that took effect.

use std::collections::VecDeque;

use crate::engine::EngineError;
use crate::model::ContainerId;

/// A call of the [`Engine`](crate::engine::Engine) trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are those of the trait
pub enum Call {
    Info,
    List,
    Inspect,
    Create,
    Start,
    Connect,
    RunOneOff,
    Kill,
    Remove,
    Exec,
    ExecRuns,
    Networks,
    Subnets,
    CreateNetwork,
    RemoveNetwork,
    CreateVolume,
    Volumes,
    RemoveVolume,
    Image,
    Pull,
    Tag,
    Untag,
    Events,
    Logs,
    Listening,
}

impl Call {
    /// Its name in errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::List => "list",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Start => "start",
            Self::Connect => "connect",
            Self::RunOneOff => "run",
            Self::Kill => "kill",
            Self::Remove => "remove",
            Self::Exec => "exec",
            Self::ExecRuns => "inspect exec",
            Self::Networks => "networks",
            Self::Subnets => "subnets",
            Self::CreateNetwork => "create network",
            Self::RemoveNetwork => "remove network",
            Self::CreateVolume => "create volume",
            Self::Volumes => "volumes",
            Self::RemoveVolume => "remove volume",
            Self::Image => "image",
            Self::Pull => "pull",
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Events => "events",
            Self::Logs => "logs",
            Self::Listening => "listening",
        }
    }
}

/// How one call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error and does nothing.
    Fails(EngineError),
    /// It takes effect, but its response is lost: the caller gets [`EngineError::Unanswered`].
    AnswerLost,
}

/// Chooses the fault of each call, for seeded tests.
pub(super) type Chooser = Box<dyn FnMut(Call) -> Option<Fault> + Send>;

/// The faults of the next calls.
#[derive(Default)]
pub(super) struct Faults {
    /// While the Engine is away, all calls fail with this.
    pub(super) away: Option<EngineError>,
    planned: VecDeque<(Call, Fault)>,
    chooser: Option<Chooser>,
}

impl Faults {
    pub(super) fn plan(&mut self, call: Call, fault: Fault) {
        self.planned.push_back((call, fault));
    }

    pub(super) fn choose_by(&mut self, chooser: Option<Chooser>) {
        self.chooser = chooser;
    }

    /// The fault of this call: the Engine is away, else the first one planned for this call, else the chooser's.
    pub(super) fn of(&mut self, call: Call) -> Option<Fault> {
        if let Some(error) = &self.away {
            return Some(Fault::Fails(error.clone()));
        }
        let planned = self.planned.iter().position(|(kind, _)| *kind == call);
        match planned.and_then(|i| self.planned.remove(i)) {
            Some((_, fault)) => Some(fault),
            None => self.chooser.as_mut().and_then(|choose| choose(call)),
        }
    }
}

/// A change that a call of the trait made. Changes by hand are not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the trait's calls
pub enum Mutation {
    Create { id: ContainerId, name: String },
    Start { id: ContainerId, name: String },
    Connect { id: ContainerId, name: String },
    Kill { id: ContainerId, name: String, signal: String },
    Remove { id: ContainerId, name: String },
    CreateNetwork { name: String },
    RemoveNetwork { name: String },
    Pull { reference: String },
    Tag { image: String, tag: String },
    Untag { tag: String },
}
