//! No request is lost, judged from outside: every kind of request at once, while services that end in every way are
//! rolled, scaled, restarted and undone, and the daemon itself is reloaded, and then its supervisor killed.
//!
//! A short storm runs with the other tests; `STORM=full` (`make storm`) runs the long one. Both end with a count of what
//! they did, kind by kind, so that a storm without one of its kinds fails.

use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::Daemon;
use crate::load::{Client, Load, Outages, Tally};

/// A service, by what its containers do with a stop signal.
struct Kind {
    name: &'static str,
    host: &'static str,
    /// The rest of its manifest.
    more: &'static str,
    /// Whether its images declare a VOLUME. A slot's old replica stops before the new one starts then, so one alone would be
    /// missed: it always has two.
    volume: bool,
}

const FINISHING: Kind = Kind { name: "finishing", host: "finishing.localhost", more: "", volume: false };

const KINDS: [Kind; 5] = [
    FINISHING,
    Kind { name: "hasty", host: "hasty.localhost", more: "  env: {EXIT_ON_TERM: now}\n", ..FINISHING },
    Kind {
        name: "deaf",
        host: "deaf.localhost",
        more: "  env: {IGNORE_SIGTERM: '1'}\n  stop: {grace: 1s}\n",
        ..FINISHING
    },
    Kind {
        name: "boxed",
        host: "boxed.localhost",
        more: "  init: true\n  tmpfs: [{path: /scratch, size: 1Mi}]\n",
        ..FINISHING
    },
    Kind { name: "keeping", host: "keeping.localhost", more: "  init: true\n", volume: true },
];

const REQUESTS: [Client; 11] = [
    Client::KeepAlive,
    Client::Fresh,
    Client::Post(20_000),
    Client::PostChunked(20_000),
    Client::PostFresh(20_000),
    Client::Post(1_000_000),
    Client::PostChunked(1_000_000),
    Client::Slow(5_000),
    Client::SlowUpload(3_000),
    Client::Big(2_000_000),
    Client::Http2(4),
];

/// What is done to a service under load.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// To the other image.
    Roll,
    Scale(u32),
    Restart,
    Undo,
}

/// How long a storm lasts.
struct Storm {
    /// What is done to each service, all services at the same time.
    moves: [&'static [Move]; KINDS.len()],
    /// How often.
    rounds: u32,
    /// Reloads of the daemon meanwhile, one after the other.
    reloads: u32,
    /// After that, how often the supervisor is killed, each time with a rollout of every service.
    kills: u32,
    /// It lasts until so many requests were answered,
    requests: u64,
    /// or so much time has passed, which fails it.
    limit: Duration,
}

const SHORT: Storm = Storm {
    moves: [
        &[Move::Roll, Move::Undo],
        &[Move::Scale(3), Move::Roll],
        &[Move::Roll, Move::Scale(1)],
        &[Move::Roll, Move::Scale(3)],
        &[Move::Roll],
    ],
    rounds: 1,
    reloads: 2,
    kills: 2,
    requests: 2_000,
    limit: Duration::from_secs(300),
};

const ALL: &[Move] =
    &[Move::Roll, Move::Scale(4), Move::Undo, Move::Roll, Move::Scale(1), Move::Restart, Move::Scale(2)];
const FULL: Storm = Storm {
    moves: [ALL; KINDS.len()],
    rounds: 4,
    reloads: 12,
    kills: 8,
    requests: 100_000,
    limit: Duration::from_secs(1_800),
};

#[test]
fn storm_of_rollouts_loses_no_request() {
    let full = std::env::var("STORM").is_ok_and(|length| length == "full");
    let storm = if full { FULL } else { SHORT };
    let mut daemon = Daemon::start();
    let plain = [daemon.image("v1"), daemon.image_with("v2", "STOPSIGNAL SIGINT")];
    let with_volume = [
        daemon.image_with("v1-data", "VOLUME /data"),
        daemon.image_with("v2-data", "VOLUME /data\nSTOPSIGNAL SIGINT"),
    ];
    let images = |kind: &Kind| if kind.volume { &with_volume } else { &plain };
    let manifests = KINDS.each_ref().map(|kind| manifest(kind, &images(kind)[0]));
    daemon.expect(0, &["apply", "-f", &daemon.file("storm.yaml", &manifests.join("\n---\n"))]);
    let start = Instant::now();
    let outages = Outages::default();
    let load = |kind: &Kind| Load::start_with_outages(daemon.http, kind.host, &REQUESTS, &outages);
    let loads: Vec<Load> = KINDS.iter().map(load).collect();
    std::thread::scope(|scope| {
        for (kind, moves) in KINDS.iter().zip(storm.moves) {
            let (daemon, images, rounds) = (&daemon, images(kind), storm.rounds);
            scope.spawn(move || drive(daemon, kind, images, moves, rounds));
        }
        scope.spawn(|| {
            for _ in 0..storm.reloads {
                daemon.expect(0, &["reload"]);
            }
        });
    });
    for round in 0..storm.kills {
        let has_begun = round % 2 == 1;
        let versions = KINDS.each_ref().map(|kind| images(kind)[usize::from(!has_begun)].as_str());
        kill_and_roll(&mut daemon, &outages, &versions, has_begun);
    }
    let moved = start.elapsed();
    let answered = || loads.iter().map(Load::answered).sum::<u64>();
    while answered() < storm.requests && start.elapsed() < storm.limit {
        std::thread::sleep(Duration::from_millis(100));
    }
    loads.iter().for_each(Load::wind_down);
    let mut total = Tally::default();
    loads.into_iter().for_each(|load| total.add(load.stop()));
    eprintln!(
        "storm: {} requests, {} failures, {} that met no supervisor, {} moves in {moved:.0?}, {:.0?} in all",
        total.sent,
        total.failures.len(),
        total.unmet,
        storm.moves.iter().map(|moves| moves.len()).sum::<usize>() * storm.rounds as usize,
        start.elapsed()
    );
    assert_eq!(
        total.failures,
        Vec::<String>::new(),
        "of {} requests; {outages:?}\n{}",
        total.sent,
        daemon.log()
    );
    for kind in REQUESTS.map(|kind| format!("{kind:?}")) {
        let answered = total.answered.get(&kind).copied().unwrap_or_default();
        assert!(answered >= KINDS.len() as u64, "{answered} answers to {kind}: {:?}", total.answered);
    }
    assert!(start.elapsed() < storm.limit, "{} requests in {:?}", total.sent, storm.limit);
    assert!(total.sent >= storm.requests);
}

fn manifest(kind: &Kind, image: &str) -> String {
    let Kind { name, host, more, .. } = kind;
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         port: 8080\n  route: {host}\n  health: /healthz\n  rollout: {{healthyFor: 500ms, deadline: 120s}}\n{more}"
    )
}

/// Moves a service, one thing after the other.
fn drive(daemon: &Daemon, kind: &Kind, images: &[String; 2], moves: &[Move], rounds: u32) {
    let service = kind.name;
    let mut image = 0;
    for step in (0..rounds).flat_map(|_| moves) {
        match step {
            Move::Roll => {
                image = 1 - image;
                daemon.expect(0, &["rollout", service, "--image", &images[image]]);
            }
            Move::Scale(replicas) => {
                let replicas = if kind.volume { 2.max(*replicas) } else { *replicas };
                daemon.expect(0, &["scale", &format!("{service}={replicas}")]);
            }
            Move::Restart => {
                daemon.expect(0, &["rollout", "restart", service]);
            }
            Move::Undo => {
                image = 1 - image;
                daemon.expect(0, &["rollout", "undo", service]);
            }
        }
    }
}

/// Kills the supervisor under load, starts the next one at once, and rolls all services to these images; the rollouts may have begun
/// before. The balancer that was left has requests of several seconds, which must all be answered.
fn kill_and_roll(daemon: &mut Daemon, outages: &Outages, images: &[&str; KINDS.len()], has_begun: bool) {
    let roll = |daemon: &Daemon, more: &[&str]| {
        std::thread::scope(|scope| {
            for (kind, image) in KINDS.iter().zip(images) {
                let command = [&["rollout", kind.name, "--image", image], more].concat();
                scope.spawn(move || daemon.expect(0, &command));
            }
        });
    };
    if has_begun {
        roll(daemon, &["--detach"]);
    }
    outages.begin();
    daemon.kill_supervisor();
    outages.end();
    roll(daemon, &[]);
}
