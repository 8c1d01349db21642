//! The controller's side of its commands to the supervisor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::CrashLoopingChild;
use super::datagram_channel::DatagramChannel;
use super::incidents::NumberedIncident;
use super::listener_refusal::{CommandRefusal, OpenRefusal};
use super::port_owner;
use super::supervisor_command::{
    ListedListener, NumberedCall, OpenListener, SupervisorAnswer, SupervisorCommand,
};
use crate::model::{DaemonProcesses, ListenerId};

/// The supervisor answers within milliseconds. Includes the wait for calls of other tasks.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the search among the processes may take: reading the socket tables comes on top.
const OWNER_TIMEOUT: Duration = Duration::from_secs(8);

/// Why a call to the supervisor failed.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorCallError {
    #[error(transparent)]
    Refused(#[from] CommandRefusal),
    /// It is unknown whether the command was obeyed; it may be repeated.
    #[error("the supervisor did not answer within {CALL_TIMEOUT:?}")]
    TimedOut,
    #[error("the supervisor's answer does not fit the command: {0:?}")]
    UnexpectedAnswer(SupervisorAnswer),
    #[error("cannot call the supervisor")]
    Io(#[from] io::Error),
}

/// Asks the supervisor to open, close and list listeners: the balancer gets their sockets from the supervisor. One call at a time,
/// each with a deadline.
#[derive(Debug)]
pub struct SupervisorClient {
    channel: DatagramChannel,
    last_call: Mutex<u64>,
}

impl SupervisorClient {
    /// Takes the inherited channel ([`ChildSockets::commands`](super::ChildSockets::commands)). Must run inside a tokio
    /// runtime with I/O.
    ///
    /// # Errors
    /// When the descriptor is not usable.
    pub fn new(commands: OwnedFd) -> io::Result<Self> {
        Ok(Self { channel: DatagramChannel::new(commands)?, last_call: Mutex::new(0) })
    }

    /// Opens a listener; returns its address with the port filled in. May be repeated.
    ///
    /// # Errors
    /// [`SupervisorCallError::Refused`] names the listener, its address and the reason.
    pub async fn open_listener(&self, listener: OpenListener) -> Result<SocketAddr, SupervisorCallError> {
        match self.call(SupervisorCommand::OpenListener(listener)).await {
            Ok(SupervisorAnswer::Opened { address }) => Ok(address),
            Ok(other) => Err(SupervisorCallError::UnexpectedAnswer(other)),
            Err(SupervisorCallError::Refused(refusal)) => Err(with_owner(refusal).await.into()),
            Err(error) => Err(error),
        }
    }

    /// Closes a listener that was opened by [`Self::open_listener`]. May be repeated.
    ///
    /// # Errors
    /// [`SupervisorCallError::Refused`] if the listener was set at the start of the daemon.
    pub async fn close_listener(&self, id: ListenerId) -> Result<(), SupervisorCallError> {
        match self.call(SupervisorCommand::CloseListener(id)).await? {
            SupervisorAnswer::Closed => Ok(()),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    /// Lists the open listeners: those of the command line, and those that this controller or a predecessor opened.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn list_listeners(&self) -> Result<Vec<ListedListener>, SupervisorCallError> {
        match self.call(SupervisorCommand::ListListeners).await? {
            SupervisorAnswer::Listeners(listeners) => Ok(listeners),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    /// Lists the roles whose processes end again and again.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn list_crash_loops(&self) -> Result<Vec<CrashLoopingChild>, SupervisorCallError> {
        match self.call(SupervisorCommand::ListCrashLoops).await? {
            SupervisorAnswer::CrashLoops(children) => Ok(children),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    /// The first incident after this number; those before it are recorded.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn next_incident(
        &self,
        recorded: u64,
    ) -> Result<Option<NumberedIncident>, SupervisorCallError> {
        match self.call(SupervisorCommand::NextIncident(recorded)).await? {
            SupervisorAnswer::Incident(incident) => Ok(incident),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    /// Begins a reload; returns its number.
    ///
    /// # Errors
    /// When the supervisor refuses it, or does not answer.
    pub async fn reload(&self) -> Result<u64, SupervisorCallError> {
        match self.call(SupervisorCommand::Reload).await? {
            SupervisorAnswer::Reloading { number } => Ok(number),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    /// Lists the processes of the daemon, and how the last reload went.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn list_processes(&self) -> Result<DaemonProcesses, SupervisorCallError> {
        match self.call(SupervisorCommand::ListProcesses).await? {
            SupervisorAnswer::Processes(processes) => Ok(processes),
            other => Err(SupervisorCallError::UnexpectedAnswer(other)),
        }
    }

    async fn call(&self, command: SupervisorCommand) -> Result<SupervisorAnswer, SupervisorCallError> {
        match timeout(CALL_TIMEOUT, self.exchange(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(SupervisorCallError::TimedOut),
        }
    }

    async fn exchange(&self, body: SupervisorCommand) -> Result<SupervisorAnswer, SupervisorCallError> {
        let mut last_call = self.last_call.lock().await;
        *last_call += 1;
        let command = NumberedCall { call: *last_call, body };
        let bytes = serde_json::to_vec(&command).map_err(io::Error::from)?;
        self.channel.send(&bytes, None).await?;
        loop {
            let message = self.channel.receive().await?;
            let answer: NumberedCall<SupervisorAnswer> =
                serde_json::from_slice(&message.bytes).map_err(io::Error::from)?;
            match answer.body {
                SupervisorAnswer::Refused { reason } if [0, command.call].contains(&answer.call) => {
                    return Err(reason.into());
                }
                body if answer.call == command.call => return Ok(body),
                // of an earlier call that timed out
                _ => {}
            }
        }
    }
}

/// Names the process that uses the address, if it is found in time. The supervisor does not search: its one thread watches
/// its children.
async fn with_owner(refusal: CommandRefusal) -> CommandRefusal {
    let CommandRefusal::Open { id, address, reason: OpenRefusal::AddressInUse { .. } } = refusal else {
        return refusal;
    };
    let search = tokio::task::spawn_blocking(move || port_owner::find(address));
    let owner = timeout(OWNER_TIMEOUT, search).await.ok().and_then(Result::ok).flatten();
    CommandRefusal::Open { id, address, reason: OpenRefusal::AddressInUse { owner } }
}

#[cfg(test)]
mod tests {
    use super::super::datagram_channel::datagram_pair;
    use super::*;
    use crate::model::ProtocolKind;

    fn open(address: SocketAddr) -> OpenListener {
        OpenListener { id: "web".into(), address, protocol: ProtocolKind::Http }
    }

    /// Answers the next call with the address that it asks for.
    async fn answer(server: &DatagramChannel) {
        let message = server.receive().await.unwrap().bytes;
        let called: NumberedCall<SupervisorCommand> = serde_json::from_slice(&message).unwrap();
        let address = match called.body {
            SupervisorCommand::OpenListener(listener) => listener.address,
            other => panic!("{other:?}"),
        };
        let answer = NumberedCall { call: called.call, body: SupervisorAnswer::Opened { address } };
        server.send(&serde_json::to_vec(&answer).unwrap(), None).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn late_answer_of_a_call_that_timed_out_is_not_taken_for_the_next_one() {
        let (server, theirs) = datagram_pair().unwrap();
        let client = SupervisorClient::new(theirs).unwrap();
        let first = "127.0.0.1:1".parse().unwrap();
        let second = "127.0.0.1:2".parse().unwrap();
        let unanswered = client.open_listener(open(first)).await.unwrap_err();
        assert!(matches!(unanswered, SupervisorCallError::TimedOut), "{unanswered}");
        answer(&server).await;
        let (answered, ()) = tokio::join!(client.open_listener(open(second)), answer(&server));
        assert_eq!(answered.unwrap(), second);
    }
}
