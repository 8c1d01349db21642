//! What replicas need besides containers: networks, images, tags, published ports.

use std::collections::BTreeSet;

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::engine::fake::{Behaviour, Call, Mutation};
use crate::engine::{Engine, EngineError, NetworkSpec};
use crate::model::{
    Cause, Desired, EngineKind, NotReadyCause, Port, Protocol, Reason, ReplicaPhase, ServiceSpec, Volume,
};

/// Lists of all containers while a network's removal is retried three times: one for each refusal, and one more.
const RETRY_LIST_BUDGET: usize = 4;
/// Lookups in a minute of an image that is missing.
const MISSING_IMAGE_BUDGET: usize = 15;

#[tokio::test(start_paused = true)]
async fn missing_network_is_created_again_and_unused_one_is_removed() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let networks = rig.engine.networks().await.unwrap();
    assert_eq!(networks[0].subnets, ["10.209.0.0/24"]);
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.engine.remove_network_by_hand(&networks[0].name).unwrap();
    rig.pass_time(31).await;
    rig.want("users-1-b", Desired::Run).await;
    rig.until("ready", 35, |rig| rig.is_ready("users-1-b")).await;
    assert_eq!(rig.engine.networks().await.unwrap()[0].subnets, ["10.209.0.0/24"]);
    rig.want("users-1-b", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-b") == Some(ReplicaPhase::Gone)).await;
    rig.forget("users-1-a").await;
    rig.forget("users-1-b").await;
    rig.forget_service().await;
    rig.until("removed", 35, |rig| rig.guard.calls("remove_network") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn removal_of_a_network_in_use_is_retried_with_back_off() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let in_use = || EngineError::Conflict { message: "network has active endpoints".to_owned() };
    for _ in 0..3 {
        rig.engine.fail_next(Call::RemoveNetwork, in_use());
    }
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.forget("users-1-a").await;
    rig.forget_service().await;
    rig.until("tried twice", 3, |rig| rig.guard.calls("remove_network") == 2).await;
    let lists = rig.guard.calls("list");
    rig.until("removed after 1, 2 and 4 s", 8, |rig| rig.guard.calls("remove_network") == 4).await;
    assert!(rig.engine.networks().await.unwrap().is_empty());
    assert!(rig.guard.calls("list") - lists <= RETRY_LIST_BUDGET);
    rig.pass_time(60).await;
    assert_eq!(rig.guard.calls("remove_network"), 4);
}

#[tokio::test(start_paused = true)]
async fn subnet_that_becomes_free_is_used_at_once() {
    let rig = Rig::new(Behaviour::default());
    let spec = |subnet: &str| NetworkSpec {
        name: format!("strangers-{subnet}"),
        bridge: None,
        subnet: format!("{subnet}.0/24"),
        ip_range: format!("{subnet}.248/29"),
        gateway: format!("{subnet}.1").parse().unwrap(),
        labels: [].into(),
    };
    let all: Vec<NetworkSpec> = (0..=255).map(|n| spec(&format!("10.209.{n}"))).collect();
    all.iter().for_each(|spec| rig.engine.create_network_by_hand(spec).unwrap());
    rig.declare(&["users-1-a"], quick).await;
    rig.pass_time(70).await;
    assert_eq!(rig.running(), Vec::<String>::new());
    rig.engine.remove_network_by_hand(&all[77].name).unwrap();
    rig.until("ready", 3, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.engine.networks().await.unwrap()[0].subnets, ["10.209.77.0/24"]);
}

#[tokio::test(start_paused = true)]
async fn tags_of_a_deleted_service_are_removed_before_its_last_replica_is_gone() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("protected", 60, |rig| rig.guard.calls("tag") == 1).await;
    // The answer is lost, but the tag is removed.
    rig.engine.lose_answer(Call::Untag);
    let delete = Desired::Remove { cause: Cause::Deleted };
    rig.want("users-1-a", delete).await;
    rig.want("users-1-b", delete).await;
    rig.until("gone", 10, |rig| {
        ["users-1-a", "users-1-b"].iter().all(|name| rig.phase(name) == Some(ReplicaPhase::Gone))
    })
    .await;
    let untagged = rig.engine.journal().into_iter().filter(|m| matches!(m, Mutation::Untag { .. })).count();
    assert_eq!(untagged, 1);
    rig.pass_time(70).await;
    assert_eq!(rig.guard.calls("tag"), 1, "not protected again while its revision is still stored");
}

#[tokio::test(start_paused = true)]
async fn tag_that_docker_keeps_does_not_block_a_deletion() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("protected", 60, |rig| rig.guard.calls("tag") == 1).await;
    let in_use = EngineError::Conflict { message: "image is being used".to_owned() };
    rig.engine.fail_next(Call::Untag, in_use);
    rig.want("users-1-a", Desired::Remove { cause: Cause::Deleted }).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
}

#[tokio::test(start_paused = true)]
async fn image_that_no_registry_has_is_reported_and_looked_up_again() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.engine.remove_image("users:1");
    rig.until("reported", 5, |rig| {
        matches!(
            rig.phase("users-1-a"),
            Some(ReplicaPhase::BackOff { cause: NotReadyCause::ImageNotFound { .. }, .. })
        )
    })
    .await;
    assert_eq!(rig.guard.calls("pull"), 0, "no registry has it");
    rig.pass_time(60).await;
    assert!(rig.guard.calls("image") <= MISSING_IMAGE_BUDGET);
}

/// The guard reports every address and port that is used twice.
#[tokio::test(start_paused = true)]
async fn published_ports_skip_used_ones_and_are_not_reused_after_a_restart() {
    let rig = Rig::of_kind(EngineKind::Rootless, Behaviour::default());
    let names = ["users-1-a", "users-1-b", "users-1-c"];
    rig.declare(&names, quick).await;
    rig.until("ready", 5, |rig| names.iter().all(|name| rig.is_ready(name))).await;
    let port = |rig: &Rig, name: &str| {
        let endpoint = rig.endpoint(name).unwrap();
        assert!(endpoint.address.is_loopback());
        assert_eq!(rig.status(name).unwrap().published, [(8080, endpoint.ports["http"])].into());
        endpoint.ports["http"]
    };
    let first: Vec<u16> = names.iter().map(|name| port(&rig, name)).collect();

    rig.engine.take_port(first[2] + 1);
    rig.engine.exit(&rig.container("users-1-a").id, 1);
    rig.until("the second attempt was refused, the third is ready", 10, |rig| {
        rig.is_ready("users-1-a") && rig.status("users-1-a").unwrap().attempt == 3
    })
    .await;
    assert_eq!(port(&rig, "users-1-a"), first[2] + 2);
    assert!(rig.count_events("EngineRefused") > 0);

    let rig = rig.restarted();
    rig.until("found again", 5, |rig| rig.handle.state().borrow().open).await;
    assert_eq!(port(&rig, "users-1-b"), first[1], "a running container keeps its port");
    rig.engine.exit(&rig.container("users-1-b").id, 1);
    rig.until("ready again", 5, |rig| {
        rig.is_ready("users-1-b") && rig.status("users-1-b").unwrap().attempt == 2
    })
    .await;
    let latest = port(&rig, "users-1-b");
    assert!(!first.contains(&latest) && latest > first[2] + 2, "{latest} after {first:?}");
}

#[tokio::test(start_paused = true)]
async fn container_ports_are_published_at_distinct_ports() {
    let rig = Rig::of_kind(EngineKind::Rootless, Behaviour::default());
    let admin = Port { name: "admin".to_owned(), port: 9090, protocol: Protocol::Http, listen: None };
    rig.declare(&["users-1-a", "users-1-b"], |spec| spec.ports.push(admin)).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    let ports = |name| rig.endpoint(name).unwrap().ports;
    let all: BTreeSet<u16> =
        ["users-1-a", "users-1-b"].into_iter().flat_map(|name| ports(name).into_values()).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(rig.status("users-1-a").unwrap().published[&9090], ports("users-1-a")["admin"]);
}

/// The fake's process ends only after its grace: a container off its network cannot finish its requests either.
#[tokio::test(start_paused = true)]
async fn container_off_its_network_is_connected_again_at_its_address() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    rig.balancer.lock().unwrap().in_flight = 3;
    for _ in 0..5 {
        let before = rig.container("users-1-a");
        rig.engine.disconnect_by_hand(&before.id);
        rig.engine.disconnect_by_hand(&rig.container("users-1-b").id);
        rig.until("out of rotation", 1, |rig| !rig.balancer.lock().unwrap().serves(before.id.as_str())).await;
        rig.until("ready again", 1, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
        assert_eq!(rig.container("users-1-a"), before, "the same container at the same address");
    }
    assert_eq!((rig.guard.calls("create"), rig.guard.calls("kill")), (2, 0));
    assert_eq!(rig.status("users-1-a").unwrap().failures, 0);
    assert_eq!(rig.count_events("OffNetwork"), 10, "{:#?}", rig.events());
}

#[tokio::test(start_paused = true)]
async fn removed_network_is_made_again_for_containers_that_ran_on_it() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let network = rig.engine.networks().await.unwrap()[0].name.clone();
    rig.engine.disconnect_by_hand(&rig.container("users-1-a").id);
    rig.engine.remove_network_by_hand(&network).unwrap();
    rig.until("made again", 2, |rig| rig.guard.calls("create_network") == 2).await;
    rig.until("ready again", 3, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.guard.calls("create"), 1);
}

#[tokio::test(start_paused = true)]
async fn container_that_cannot_be_connected_again_is_replaced_without_drain_or_back_off() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.balancer.lock().unwrap().in_flight = 3;
    for attempt in 2..6 {
        let taken = EngineError::Conflict { message: "Address already in use".to_owned() };
        rig.engine.fail_next(Call::Connect, taken);
        let name = rig.container_of("users-1-a").name;
        rig.engine.disconnect_by_hand(&rig.container(&name).id);
        rig.until("replaced", 3, |rig| {
            rig.is_ready("users-1-a") && rig.status("users-1-a").unwrap().attempt == attempt
        })
        .await;
    }
    assert_eq!(rig.status("users-1-a").unwrap().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn container_removed_by_hand_again_and_again_is_replaced_without_back_off() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    for attempt in 2..8 {
        rig.engine.remove_by_hand(&rig.container_of("users-1-a").id);
        rig.until("replaced", 2, |rig| {
            rig.is_ready("users-1-a") && rig.status("users-1-a").unwrap().attempt == attempt
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn back_off_of_refused_creations_is_over_once_a_container_starts() {
    let rig = Rig::new(Behaviour::default());
    let refuse = |rig: &Rig, times: usize| {
        for _ in 0..times {
            let message = "no space left on device".to_owned();
            rig.engine.fail_next(Call::Create, EngineError::Failed { call: "create", status: 500, message });
        }
    };
    refuse(&rig, 5);
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready after 1, 2, 4, 8 and 16 s", 35, |rig| rig.is_ready("users-1-a")).await;
    refuse(&rig, 1);
    rig.engine.exit(&rig.container_of("users-1-a").id, 1);
    rig.until("ready after one second", 2, |rig| rig.is_ready("users-1-a")).await;
}

fn mounting(spec: &mut ServiceSpec) {
    quick(spec);
    spec.volumes = vec![Volume::named("data", "/data")];
}

/// A replica with the service's volume, ready, and the volume's name in Docker.
async fn with_volume() -> (Rig, String) {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], mounting).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let volume = rig.engine.volumes().await.unwrap()[0].name.clone();
    (rig, volume)
}

fn waits_for_volume(rig: &Rig, replica: &str) -> bool {
    let phase = rig.phase(replica);
    matches!(phase.as_ref().and_then(ReplicaPhase::cause), Some(NotReadyCause::VolumeMissing { .. }))
}

fn reports_missing_volume(rig: &Rig) -> bool {
    rig.handle.state().borrow().conditions.iter().any(|condition| condition.reason == Reason::VolumeMissing)
}

#[tokio::test(start_paused = true)]
async fn vanished_volume_is_waited_for_until_its_loss_is_confirmed() {
    let (rig, volume) = with_volume().await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.engine.remove_volume(&volume).await.unwrap();
    let rig = rig.restarted();
    rig.want("users-1-b", Desired::Run).await;
    rig.until("it waits", 35, |rig| waits_for_volume(rig, "users-1-b")).await;
    rig.until("a condition says so", 5, reports_missing_volume).await;
    assert_eq!(rig.count_events("VolumeMissing"), 1);
    rig.pass_time(60).await;
    assert_eq!(rig.engine.volumes().await.unwrap(), [], "no empty one takes its place");
    assert_eq!(rig.count_events("VolumeMissing"), 1, "it is said once");

    let confirm =
        async |volume: &str| rig.handle.confirm([volume.to_owned()].into()).await.unwrap().lost_volumes;
    assert_eq!(confirm("another").await, BTreeSet::new(), "a loss that was not shown is not confirmed");
    rig.pass_time(10).await;
    assert!(waits_for_volume(&rig, "users-1-b"));
    assert_eq!(confirm(&volume).await, [volume.clone()].into());
    rig.until("ready", 5, |rig| rig.is_ready("users-1-b")).await;
    assert_eq!(rig.engine.volumes().await.unwrap()[0].name, volume);
    assert!(!reports_missing_volume(&rig));
    rig.want("users-1-b", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-b") == Some(ReplicaPhase::Gone)).await;
    rig.engine.remove_volume(&volume).await.unwrap();
    rig.want("users-1-c", Desired::Run).await;
    rig.until("it waits again", 5, |rig| waits_for_volume(rig, "users-1-c")).await;
}

#[tokio::test(start_paused = true)]
async fn restored_volume_lets_its_replica_start() {
    let (rig, volume) = with_volume().await;
    let spec = rig.engine.spec(&rig.container("users-1-a").id).unwrap();
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.engine.remove_volume(&volume).await.unwrap();
    rig.want("users-1-b", Desired::Run).await;
    rig.until("it waits", 5, |rig| waits_for_volume(rig, "users-1-b")).await;
    rig.engine.create_volume(&spec.mounts[0].volume).await.unwrap();
    rig.until("ready", 10, |rig| rig.is_ready("users-1-b")).await;
}

#[tokio::test(start_paused = true)]
async fn volume_removed_after_its_service_was_deleted_is_not_waited_for() {
    let (rig, volume) = with_volume().await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.forget("users-1-a").await;
    rig.forget_service().await;
    rig.until("its network is removed", 35, |rig| rig.guard.calls("remove_network") == 1).await;
    rig.engine.remove_volume(&volume).await.unwrap();
    rig.declare(&["users-1-b"], mounting).await;
    rig.until("ready", 35, |rig| rig.is_ready("users-1-b")).await;
}
