//! The supervisor's side of the controller's commands.
//!
//! Invariants: only the controller's own process is obeyed; every message is answered, a malformed one with a refusal;
//! nothing that the controller sends ends the supervisor or makes it wait.

use std::convert::Infallible;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::VERSION;
use super::child_records::ChildRecords;
use super::datagram_channel::{Datagram, DatagramChannel, MESSAGE_MAX};
use super::incidents::Incidents;
use super::listener_refusal::CommandRefusal;
use super::listeners::Listeners;
use super::reloads::Reloads;
use super::supervisor_command::{NumberedCall, SupervisorAnswer, SupervisorCommand};
use crate::clock::Clock;
use crate::model::{DaemonProcess, DaemonProcesses};

/// For a controller that does not read its answers, which fill the socket after a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// After an error of the channel: one that lasts would otherwise keep the supervisor's one thread busy.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What commands are about.
#[derive(Clone, Copy)]
pub(super) struct Supervised<'a> {
    pub(super) listeners: &'a Listeners,
    pub(super) children: &'a ChildRecords,
    pub(super) incidents: &'a Incidents,
    pub(super) clock: &'a dyn Clock,
    pub(super) reloads: &'a Reloads,
}

/// Answers commands until the controller is replaced, whose channel ends then.
pub(super) async fn serve_commands(
    channel: &DatagramChannel,
    controller: i32,
    supervised: Supervised<'_>,
) -> Infallible {
    loop {
        let message = match channel.receive().await {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "cannot receive commands of the controller");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let answer = answer(&message, controller, supervised);
        match timeout(ANSWER_TIMEOUT, channel.send(&encode(&answer), None)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, call = answer.call, "cannot answer the controller");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
            Err(_) => tracing::warn!(call = answer.call, "the controller does not read its answers"),
        }
        // the supervisor's one thread also watches the children: a flood of commands must not keep it from that
        tokio::task::yield_now().await;
    }
}

/// Serialization of these types cannot fail; an empty answer would be malformed at the other end.
fn encode(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}

fn answer(message: &Datagram, controller: i32, supervised: Supervised<'_>) -> NumberedCall<SupervisorAnswer> {
    let command = decode(message, controller);
    let call = command.as_ref().map_or(0, |command| command.call);
    let done = command.and_then(|command| obey(command.body, supervised));
    let body = done.unwrap_or_else(|reason| {
        tracing::warn!("command refused: {reason}");
        SupervisorAnswer::Refused { reason }
    });
    NumberedCall { call, body }
}

fn decode(message: &Datagram, controller: i32) -> Result<NumberedCall<SupervisorCommand>, CommandRefusal> {
    let pid = message.sender.unwrap_or_default();
    if pid != controller {
        return Err(CommandRefusal::NotController { pid });
    }
    if message.is_truncated {
        return Err(CommandRefusal::Malformed { problem: format!("longer than {MESSAGE_MAX} bytes") });
    }
    serde_json::from_slice(&message.bytes)
        .map_err(|error| CommandRefusal::Malformed { problem: error.to_string() })
}

fn obey(command: SupervisorCommand, supervised: Supervised<'_>) -> Result<SupervisorAnswer, CommandRefusal> {
    let listeners = supervised.listeners;
    match command {
        SupervisorCommand::OpenListener(asked) => match listeners.open(&asked) {
            Ok(address) => Ok(SupervisorAnswer::Opened { address }),
            Err(reason) => Err(CommandRefusal::Open { id: asked.id, address: asked.address, reason }),
        },
        SupervisorCommand::CloseListener(id) => {
            listeners.close(&id)?;
            Ok(SupervisorAnswer::Closed)
        }
        SupervisorCommand::ListListeners => Ok(SupervisorAnswer::Listeners(listeners.list())),
        SupervisorCommand::ListCrashLoops => {
            Ok(SupervisorAnswer::CrashLoops(supervised.children.crash_looping(supervised.clock.mono())))
        }
        SupervisorCommand::NextIncident(recorded) => {
            Ok(SupervisorAnswer::Incident(supervised.incidents.next(recorded)))
        }
        SupervisorCommand::Reload => {
            match supervised.reloads.request(supervised.children, supervised.clock.wall()) {
                Ok(number) => Ok(SupervisorAnswer::Reloading { number }),
                Err(reason) => Err(CommandRefusal::Reload(reason)),
            }
        }
        SupervisorCommand::ListProcesses => {
            let mut processes = vec![DaemonProcess::supervisor(std::process::id(), VERSION)];
            processes.extend(supervised.children.processes());
            let reload = supervised.reloads.report();
            Ok(SupervisorAnswer::Processes(DaemonProcesses { processes, reload }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::datagram_channel::datagram_pair;
    use super::super::listeners::{HTTP_ADDRESSES_MAX, LISTENERS_MAX};
    use super::super::supervisor_client::{SupervisorCallError, SupervisorClient};
    use super::super::supervisor_command::{ListedListener, OpenListener};
    use super::*;
    use crate::clock::RealClock;
    use crate::model::{ListenerId, ProtocolKind};

    /// What the commands of a test are about.
    struct World {
        listeners: Listeners,
        children: ChildRecords,
        incidents: Incidents,
        clock: RealClock,
        reloads: Reloads,
    }

    impl World {
        fn new() -> Self {
            let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], &[], None).unwrap();
            let (children, incidents) = (ChildRecords::default(), Incidents::default());
            Self { listeners, children, incidents, clock: RealClock::new(), reloads: Reloads::default() }
        }

        fn supervised(&self) -> Supervised<'_> {
            let Self { listeners, children, incidents, clock, reloads } = self;
            Supervised { listeners, children, incidents, clock, reloads }
        }
    }

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    fn open() -> OpenListener {
        let address = "127.0.0.1:0".parse().unwrap();
        OpenListener { id: "web".into(), address, protocol: ProtocolKind::Http }
    }

    #[tokio::test]
    async fn malformed_messages_are_refused_and_the_next_command_is_obeyed() {
        let world = World::new();
        let (server, theirs) = datagram_pair().unwrap();
        let client = DatagramChannel::new(theirs).unwrap();
        let opened = NumberedCall { call: 7, body: SupervisorCommand::OpenListener(open()) };
        let long = vec![b' '; MESSAGE_MAX + 1];
        let messages: [&[u8]; 5] =
            [b"", b"\xff\0", &long, br#"{"call":1,"body":{"reboot":1}}"#, br#"{"call":-1,"body":"x"}"#];
        let asks = async {
            for message in messages {
                let descriptor = std::io::stdin();
                client.send(message, Some(descriptor.as_fd())).await.unwrap();
                let answer = client.receive().await.unwrap().bytes;
                let answer: NumberedCall<SupervisorAnswer> = serde_json::from_slice(&answer).unwrap();
                let reason = match answer.body {
                    SupervisorAnswer::Refused { reason } => reason,
                    other => panic!("{message:?}: {other:?}"),
                };
                assert!(matches!(reason, CommandRefusal::Malformed { .. }), "{message:?}: {reason}");
                assert_eq!(answer.call, 0);
            }
            client.send(&serde_json::to_vec(&opened).unwrap(), None).await.unwrap();
            let answer = client.receive().await.unwrap().bytes;
            let answer: NumberedCall<SupervisorAnswer> = serde_json::from_slice(&answer).unwrap();
            assert!(matches!(answer.body, SupervisorAnswer::Opened { .. }), "{answer:?}");
            assert_eq!(answer.call, 7);
        };
        tokio::select! {
            never = serve_commands(&server, own_pid(), world.supervised()) => match never {},
            () = asks => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn commands_are_obeyed_after_an_answer_that_could_not_be_sent() {
        let world = World::new();
        let (server, theirs) = datagram_pair().unwrap();
        // the answer then fails, and commands still arrive
        socket2::SockRef::from(&theirs).shutdown(std::net::Shutdown::Read).unwrap();
        let client = DatagramChannel::new(theirs).unwrap();
        let mut open_listeners = world.listeners.subscribe();
        let commands = async {
            for id in ["first", "second"] {
                let body = SupervisorCommand::OpenListener(OpenListener { id: id.into(), ..open() });
                let command = serde_json::to_vec(&NumberedCall { call: 1, body }).unwrap();
                client.send(&command, None).await.unwrap();
                open_listeners.wait_for(|open| open.contains_key(&ListenerId::new(id))).await.unwrap();
            }
        };
        tokio::select! {
            never = serve_commands(&server, own_pid(), world.supervised()) => match never {},
            () = commands => {}
        }
    }

    #[test]
    fn largest_list_of_listeners_fits_a_message() {
        let address = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535".parse().unwrap();
        let listed = |addresses, is_fixed| ListedListener {
            id: ListenerId::parse(&"x".repeat(63)).unwrap(),
            addresses: vec![address; addresses],
            protocol: ProtocolKind::Https,
            is_fixed,
        };
        let mut listeners = vec![listed(1, false); LISTENERS_MAX - 2];
        listeners.push(listed(1, true));
        listeners.push(listed(HTTP_ADDRESSES_MAX - 1, true));
        let answer = NumberedCall { call: u64::MAX, body: SupervisorAnswer::Listeners(listeners) };
        let size = encode(&answer).len();
        assert!(size <= MESSAGE_MAX, "{size} bytes");
        assert!(ListenerId::parse(&"x".repeat(64)).is_err(), "there are longer ids than tested here");
    }

    #[tokio::test]
    async fn command_of_another_process_is_refused() {
        let world = World::new();
        let (server, theirs) = datagram_pair().unwrap();
        let client = SupervisorClient::new(theirs).unwrap();
        let refused = tokio::select! {
            never = serve_commands(&server, own_pid() + 1, world.supervised()) => match never {},
            opened = client.open_listener(open()) => opened.unwrap_err(),
        };
        let pid = own_pid();
        assert!(
            matches!(refused, SupervisorCallError::Refused(CommandRefusal::NotController { pid: found }) if found == pid),
            "{refused}"
        );
        assert_eq!(world.listeners.subscribe().borrow().len(), 1, "only the public listener is open");
    }
}
