//! A pair of connected unix datagram sockets, whose messages can carry a descriptor.
//!
//! Invariants: messages arrive whole and in order; one longer than [`MESSAGE_MAX`] is marked as truncated; a descriptor that
//! comes with one is closed unless it is taken.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;

use rustix::cmsg_space;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// Holds the longest list of listeners (16 KiB), and much less than the kernel takes as one datagram (200 KiB).
pub(super) const MESSAGE_MAX: usize = 32 * 1024;

/// One end of the pair.
#[derive(Debug)]
pub(super) struct DatagramChannel {
    socket: UnixDatagram,
}

/// A received message.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) is_truncated: bool,
    /// Process id of the sender, from the kernel. Only at the supervisor's end.
    pub(super) sender: Option<i32>,
    pub(super) descriptor: Option<OwnedFd>,
}

/// Makes a pair: the supervisor's end, at which the kernel names the sender of each message, and the child's.
///
/// # Errors
/// When the system has no more descriptors. Must run inside a tokio runtime with I/O.
pub(super) fn datagram_pair() -> io::Result<(DatagramChannel, OwnedFd)> {
    let (ours, childs) = StdUnixDatagram::pair()?;
    set_socket_passcred(&ours, true)?;
    Ok((DatagramChannel::new(ours.into())?, childs.into()))
}

impl DatagramChannel {
    /// Takes one end of a pair. Must run inside a tokio runtime with I/O.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = StdUnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)? })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a message, with a descriptor if one is given; waits while the other end has too many unread ones.
    pub(super) async fn send(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || send_now(&self.socket, bytes, descriptor)).await
    }

    /// Waits for the next message.
    pub(super) async fn receive(&self) -> io::Result<Datagram> {
        self.socket.async_io(Interest::READABLE, || receive_now(&self.socket)).await
    }
}

fn send_now(socket: &UnixDatagram, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_now(socket: &UnixDatagram) -> io::Result<Datagram> {
    let mut bytes = vec![0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    bytes.truncate(received.bytes);
    let is_truncated = received.flags.contains(ReturnFlags::TRUNC);
    let mut datagram = Datagram { bytes, is_truncated, sender: None, descriptor: None };
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmCredentials(sender) => {
                datagram.sender = Some(sender.pid.as_raw_nonzero().get());
            }
            RecvAncillaryMessage::ScmRights(mut descriptors) => datagram.descriptor = descriptors.next(),
            _ => {}
        }
    }
    Ok(datagram)
}
