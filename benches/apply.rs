//! `ctl apply` of 20 replicas until all are ready and routed, against 20 create and start calls made straight to the
//! Engine API, 8 at a time. Both include the creation of a network, neither its removal.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Shared;
use crate::daemon::Daemon;
use crate::figure::{Figure, median, millis, timed};
use crate::images::{Run, client};
use crate::replicas::manifest;

const REPLICAS: usize = 20;
const PARALLEL: usize = 8;
const PAIRS: usize = 5;

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let raw = Raw::new(Run::start());
    // One of each beforehand, so that nobody pays for what is only done once.
    let pair = || (raw.measure(), applied(&raw.image));
    pair();
    let pairs: Vec<(Duration, Duration)> = (0..PAIRS).map(|_| pair()).collect();
    let ratios: Vec<f64> = pairs.iter().map(|(raw, ctl)| ctl.as_secs_f64() / raw.as_secs_f64()).collect();
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let raw = median(&pairs.iter().map(|(raw, _)| millis(*raw)).collect::<Vec<_>>());
    let ctl = median(&pairs.iter().map(|(_, ctl)| millis(*ctl)).collect::<Vec<_>>());
    let details = format!("{}; medians {raw:.0} ms raw, {ctl:.0} ms ctl", all.join(", "));
    let what = "`ctl apply` of 20 replicas to ready and routed ÷ 20 raw create+start, median of 5 pairs";
    vec![Figure::at_most(what, median(&ratios), 1.15, "x", &details)]
}

/// One apply, by a daemon that has made nothing yet; it takes away what it made, outside the time.
fn applied(image: &str) -> Duration {
    let daemon = Daemon::start();
    let file = manifest(&daemon, image, REPLICAS, "  health: /healthz\n");
    let (time, _) = timed(|| daemon.expect(0, &["apply", "-f", &file]));
    assert_eq!(daemon.containers("hello", true).len(), REPLICAS);
    daemon.expect(0, &["delete", "hello", "--yes"]);
    time
}

/// The Engine API without anything in between.
struct Raw {
    runtime: tokio::runtime::Runtime,
    engine: Docker,
    image: String,
    run: Run,
}

impl Raw {
    fn new(run: Run) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let image = runtime.block_on(run.hello("v1"));
        Self { runtime, engine: client(), image, run }
    }

    fn measure(&self) -> Duration {
        let (time, made) = timed(|| self.runtime.block_on(self.create_and_start()));
        let ids = made.unwrap();
        self.runtime.block_on(self.remove(ids)).unwrap();
        time
    }

    fn name(&self) -> String {
        format!("coxswain-bench-{}", self.run.id())
    }

    fn labels(&self) -> HashMap<String, String> {
        self.run.labels().into_iter().collect()
    }

    async fn create_and_start(&self) -> Result<Vec<String>, bollard::errors::Error> {
        let network =
            NetworkCreateRequest { name: self.name(), labels: Some(self.labels()), ..Default::default() };
        self.engine.create_network(network).await?;
        let all = stream::iter(0..REPLICAS).map(async |n| {
            let body = ContainerCreateBody {
                image: Some(self.image.clone()),
                labels: Some(self.labels()),
                host_config: Some(HostConfig { network_mode: Some(self.name()), ..Default::default() }),
                ..Default::default()
            };
            let options = CreateContainerOptionsBuilder::new().name(&format!("{}-{n}", self.name())).build();
            let id = self.engine.create_container(Some(options), body).await?.id;
            self.engine.start_container(&id, None).await?;
            Ok(id)
        });
        all.buffer_unordered(PARALLEL).try_collect().await
    }

    async fn remove(&self, ids: Vec<String>) -> Result<(), bollard::errors::Error> {
        let all = stream::iter(ids).map(Ok).try_for_each_concurrent(PARALLEL, async |id| {
            let force = RemoveContainerOptionsBuilder::new().force(true).build();
            self.engine.remove_container(&id, Some(force)).await
        });
        all.await?;
        self.engine.remove_network(&self.name()).await
    }
}
