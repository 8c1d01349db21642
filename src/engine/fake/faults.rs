//! What goes wrong between a caller and the fake, and what it did all the same.

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
    /// Its name, as errors show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::List => "list",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Start => "start",
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

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error and does nothing.
    Fails(EngineError),
    /// It happens, and the answer is lost: the caller gets [`EngineError::Unanswered`].
    AnswerLost,
}

/// Decides call by call; for a seeded world of faults.
pub(super) type Chooser = Box<dyn FnMut(Call) -> Option<Fault> + Send>;

/// The faults to come.
#[derive(Default)]
pub(super) struct Faults {
    /// All calls fail with this while it is there.
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

    /// The fault of this call: the Engine's absence, else the first planned for its kind, else the chooser's.
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

/// A change that the fake made because it was asked to. What a test does by hand is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the trait's calls
pub enum Mutation {
    Create { id: ContainerId, name: String },
    Start { id: ContainerId, name: String },
    Kill { id: ContainerId, name: String, signal: String },
    Remove { id: ContainerId, name: String },
    CreateNetwork { name: String },
    RemoveNetwork { name: String },
    Pull { reference: String },
    Tag { image: String, tag: String },
    Untag { tag: String },
}
