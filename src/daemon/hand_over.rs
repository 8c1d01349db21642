//! What a supervisor leaves to the program that is executed in its place, but for the descriptors: listeners, children and what it
//! knows about them.
//!
//! Invariants: a program refuses a format that it does not know before anything is changed; [`FORMAT`] changes with the messages to
//! children as well, because the next supervisor has children of the last version.
//! Deliberately absent: the options, which the next program reads from the same command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::incidents::IncidentLog;
use super::listeners::{BoundListener, ListenerMap, Listeners};
use super::liveness::ChildHealth;
use super::socket_delivery::SocketDelivery;
use super::{Role, VERSION};
use crate::model::{DaemonProcess, DaemonRole, ListenerId, ProcessState, ProtocolKind, ReloadReport};
use crate::plane::PROTOCOL;

/// Of [`HandOverDescription`], and of the messages between a supervisor and its children.
pub(super) const FORMAT: u32 = 1;
/// The process that a hand-over is meant for, which is this one.
pub(super) const ENV_PROCESS: &str = "COXSWAIN_HAND_OVER";

/// A hand-over without its descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandOverDescription {
    pub(super) format: u32,
    /// Of the program that leaves.
    pub(super) version: String,
    /// Where the next version of the program is.
    pub(super) program: PathBuf,
    pub(super) threads: usize,
    /// Of the next listener that is opened.
    pub(super) next_generation: u64,
    pub(super) listeners: Vec<HandedListener>,
    pub(super) children: Vec<HandedChild>,
    /// The roles of which a child has started successfully.
    pub(super) started: Vec<Role>,
    pub(super) reload: ReloadReport,
    /// Those that no controller has recorded yet.
    pub(super) incidents: IncidentLog,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedListener {
    pub(super) id: ListenerId,
    pub(super) protocol: ProtocolKind,
    pub(super) is_fixed: bool,
    pub(super) generation: u64,
    pub(super) addresses: Vec<HandedAddress>,
}

/// An address with a socket for each thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedAddress {
    pub(super) asked: SocketAddr,
    pub(super) address: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedChild {
    pub(super) role: Role,
    pub(super) pid: i32,
    pub(super) version: String,
    /// Protocol between controller and balancers that it speaks.
    pub(super) plane: u32,
    pub(super) is_draining: bool,
    pub(super) delivery: SocketDelivery,
    pub(super) health: ChildHealth,
}

impl HandOverDescription {
    /// Of this program.
    pub(super) fn new(
        program: PathBuf,
        bound: &Listeners,
        listeners: &ListenerMap,
        children: Vec<HandedChild>,
        started: Vec<Role>,
        reload: ReloadReport,
    ) -> Self {
        let listeners = listeners.iter().map(|(id, listener)| HandedListener::new(id, listener)).collect();
        Self {
            format: FORMAT,
            version: VERSION.to_owned(),
            program,
            threads: bound.threads,
            next_generation: bound.next_generation(),
            listeners,
            children,
            started,
            reload,
            incidents: IncidentLog::default(),
        }
    }
}

impl HandedChild {
    /// A child by what is known without it; `None` for the supervisor.
    pub(super) fn draft(process: &DaemonProcess) -> Option<Self> {
        let role = match process.role {
            DaemonRole::Supervisor => return None,
            DaemonRole::Controller => Role::Controller,
            DaemonRole::Balancer => Role::Balancer,
        };
        Some(Self {
            role,
            pid: process.pid,
            version: process.version.clone(),
            plane: PROTOCOL,
            is_draining: process.state == ProcessState::Draining,
            delivery: SocketDelivery::default(),
            health: ChildHealth::default(),
        })
    }
}

impl HandedListener {
    fn new(id: &ListenerId, listener: &BoundListener) -> Self {
        let addresses = listener.addresses.iter();
        let addresses =
            addresses.map(|bound| HandedAddress { asked: bound.asked, address: bound.address }).collect();
        let BoundListener { protocol, is_fixed, generation, .. } = *listener;
        Self { id: id.clone(), protocol, is_fixed, generation, addresses }
    }
}

/// Whether an earlier program of this process left something to this one.
pub fn continues() -> bool {
    std::env::var(ENV_PROCESS).is_ok_and(|process| process == std::process::id().to_string())
}

/// Reads a description; its format comes first, because it says what else there is.
///
/// # Errors
/// It is of another format, or none.
pub(super) fn read_description(bytes: &[u8]) -> anyhow::Result<HandOverDescription> {
    #[derive(Deserialize)]
    struct Beginning {
        format: u32,
        version: String,
    }
    let context = "the hand-over of the running supervisor cannot be read";
    let Beginning { format, version } = serde_json::from_slice(bytes).context(context)?;
    if format != FORMAT {
        bail!(
            "version {VERSION} cannot continue where the running version {version} is (its hand-over has format \
             {format}, this version knows {FORMAT}); restart the daemon instead"
        );
    }
    serde_json::from_slice(bytes).context(context)
}
