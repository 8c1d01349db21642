//! Descriptors that pass from one program to the next in the same process, together with a description of them.
//!
//! They wait in the queue of a socket, and only the socket's other end is inherited. So nothing changes for this process if the
//! next program cannot be executed, and no number of a descriptor means anything.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use socket2::{Domain, Socket, Type};

/// Descriptors in one message; the kernel takes 253. The queue holds over 200 messages.
const PER_MESSAGE: usize = 128;
/// A message without a byte would be the end.
const BYTE: &[u8] = b"d";

/// What comes out of a handoff.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) description: Vec<u8>,
    /// In the order in which they were packed.
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Packs descriptors; the handoff is a socket that is closed on exec.
///
/// # Errors
/// When there are more than the system takes.
pub(super) fn pack(description: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let mut described = File::from(memfd_create("hand-over", MFdFlags::MFD_CLOEXEC)?);
    described.write_all(description)?;
    described.rewind()?;
    let (sender, handoff) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    sender.set_nonblocking(true)?;
    let all: Vec<BorrowedFd<'_>> =
        std::iter::once(described.as_fd()).chain(descriptors.iter().copied()).collect();
    for some in all.chunks(PER_MESSAGE) {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(PER_MESSAGE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(&sender, &[IoSlice::new(BYTE)], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(handoff.into())
}

/// Unpacks a handoff; all descriptors are closed on exec.
///
/// # Errors
/// When it is none.
pub(super) fn unpack(handoff: &OwnedFd) -> io::Result<Unpacked> {
    let mut descriptors = Vec::new();
    loop {
        let mut bytes = [0; 1];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(PER_MESSAGE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(handoff, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            break;
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
    }
    if descriptors.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut description = Vec::new();
    File::from(descriptors.remove(0)).read_to_end(&mut description)?;
    Ok(Unpacked { description, descriptors })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    #[test]
    fn descriptors_come_out_in_order_with_their_description() {
        let files: Vec<File> = (0..300_u32)
            .map(|number| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&number.to_le_bytes()).unwrap();
                file.rewind().unwrap();
                file
            })
            .collect();
        let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        let handoff = pack(&[7; 100_000], &borrowed).unwrap();
        drop(files);
        let unpacked = unpack(&handoff).unwrap();
        assert_eq!(unpacked.description, [7; 100_000]);
        let numbers = unpacked.descriptors.into_iter().map(|descriptor| {
            let flags = fcntl(&descriptor, FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
            let mut bytes = [0; 4];
            File::from(descriptor).read_exact(&mut bytes).unwrap();
            u32::from_le_bytes(bytes)
        });
        assert!(numbers.eq(0..300));
    }

    #[test]
    fn as_many_as_the_largest_daemon_has_fit() {
        let one = tempfile::tempfile().unwrap();
        let handoff = pack(b"", &vec![one.as_fd(); 128 * 128]).unwrap();
        // More than this process may have open: they are not unpacked here.
        drop(handoff);
    }

    #[test]
    fn socket_that_is_no_handoff_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(unpack(&theirs.into()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
