//! A hand-over with its descriptors: sockets, locks, and the pipes of children.
//!
//! The process stays the same, so its children stay its children, and locks on open files stay held.
//! Invariant: one side takes the descriptors in the order in which the other has put them.

use std::collections::VecDeque;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use listenfd::ListenFd;
use nix::libc::{AF_UNIX, SOCK_SEQPACKET};

use super::Role;
use super::child::Child;
use super::descriptor_handoff::{Unpacked, unpack};
use super::hand_over::{
    HandOverDescription, HandedAddress, HandedChild, HandedListener, continues, read_description,
};
use super::listeners::{BoundListener, ListenerMap, Listeners};
use super::spawner::ChildSpawner;
use super::state_dir::StateDir;
use super::tcp_sockets::BoundAddress;
use crate::model::ReloadReport;

/// What is left to the next program.
pub(super) struct HandOver<'a> {
    pub(super) description: HandOverDescription,
    /// In the order in which [`TakenOver::from_handoff`] takes them.
    pub(super) descriptors: Vec<BorrowedFd<'a>>,
}

/// Whatever keeps what is handed over.
pub(super) struct Leaving<'a> {
    pub(super) spawner: &'a ChildSpawner,
    pub(super) api: &'a UnixListener,
    pub(super) plane: &'a UnixListener,
    pub(super) listeners: &'a ListenerMap,
    pub(super) children: &'a [Child],
}

impl<'a> HandOver<'a> {
    /// Puts it together.
    pub(super) fn new(
        leaving: &Leaving<'a>,
        program: PathBuf,
        started: Vec<Role>,
        reload: ReloadReport,
    ) -> Self {
        let Leaving { spawner, api, plane, listeners, children } = *leaving;
        let [lock, directory] = spawner.state.descriptors();
        let mut descriptors = vec![lock, directory, api.as_fd(), plane.as_fd()];
        let addresses = listeners.values().flat_map(|listener| &listener.addresses);
        descriptors.extend(addresses.flat_map(|address| &address.sockets).map(AsFd::as_fd));
        descriptors.extend(children.iter().flat_map(Child::descriptors));
        let handed = children.iter().map(Child::handed_over).collect();
        let description =
            HandOverDescription::new(program, &spawner.listeners, listeners, handed, started, reload);
        Self { description, descriptors }
    }
}

/// What an earlier program left to this one.
#[derive(Debug)]
pub(super) struct TakenOver {
    pub(super) description: HandOverDescription,
    pub(super) state: StateDir,
    pub(super) api: UnixListener,
    pub(super) plane: UnixListener,
    pub(super) listeners: Listeners,
    /// With liveness pipe and channel.
    pub(super) children: Vec<(HandedChild, OwnedFd, OwnedFd)>,
}

impl TakenOver {
    /// Takes over, if an earlier program of this process left something. Call it before the first thread.
    ///
    /// # Errors
    /// What was left cannot be used.
    pub(super) fn from_env(state_dir: &Path) -> anyhow::Result<Option<Self>> {
        if !continues() {
            return Ok(None);
        }
        let handoff = ListenFd::from_env().take_custom::<OwnedFd>(0, AF_UNIX, SOCK_SEQPACKET, "handoff")?;
        let handoff = handoff.context("no descriptors came with the hand-over")?;
        let unpacked = unpack(&handoff).context("cannot unpack the descriptors of the hand-over")?;
        Self::from_handoff(unpacked, state_dir).map(Some)
    }

    fn from_handoff(unpacked: Unpacked, state_dir: &Path) -> anyhow::Result<Self> {
        let mut description = read_description(&unpacked.description)?;
        let mut descriptors = VecDeque::from(unpacked.descriptors);
        let mut next = || descriptors.pop_front().context("a descriptor is missing in the hand-over");
        let lock = File::from(next()?);
        let directory = File::from(next()?);
        let state = StateDir::continued(state_dir, lock, directory);
        let api = UnixListener::from(next()?);
        let plane = UnixListener::from(next()?);
        let threads = description.threads;
        let mut open = ListenerMap::new();
        for handed in std::mem::take(&mut description.listeners) {
            let HandedListener { id, protocol, is_fixed, generation, addresses } = handed;
            let mut bound = Vec::with_capacity(addresses.len());
            for HandedAddress { asked, address } in addresses {
                let sockets = (0..threads).map(|_| Ok(TcpListener::from(next()?)));
                bound.push(BoundAddress { asked, address, sockets: sockets.collect::<anyhow::Result<_>>()? });
            }
            open.insert(id, Arc::new(BoundListener { protocol, addresses: bound, is_fixed, generation }));
        }
        let handed = std::mem::take(&mut description.children).into_iter();
        let children = handed.map(|child| Ok((child, next()?, next()?))).collect::<anyhow::Result<_>>()?;
        let listeners = Listeners::continued(threads, open, description.next_generation);
        Ok(Self { description, state, api, plane, listeners, children })
    }
}
