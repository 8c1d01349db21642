//! Keys of other tools: every key of a Compose service and of a Kubernetes pod is ours or has an answer, and none is guessed.

use std::collections::BTreeSet;

use super::{run, with_spec};
use crate::manifest::reference::{Topic, kinds};
use crate::manifest::shape::{ForeignAnswer, SPEC, SchemaNode};

/// Keys of a service in the Compose Specification, and those of its old versions that files still have.
const COMPOSE_SERVICE: &str = "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs \
    container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset \
    credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint \
    env_file environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc \
    isolation label_file labels links log_driver log_opt logging mac_address mem_limit mem_reservation mem_swappiness \
    memswap_limit models net network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports \
    post_start pre_stop privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale \
    secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits \
    use_api_socket user userns_mode uts volume_driver volumes volumes_from working_dir";

/// Fields of PodSpec.
const POD_SPEC: &str = "activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy \
    enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride \
    imagePullSecrets initContainers nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName \
    readinessGates resourceClaims resources restartPolicy runtimeClassName schedulerName schedulingGates \
    securityContext serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain \
    terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef";

/// Fields of Container.
const CONTAINER: &str = "args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe \
    resizePolicy resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce \
    terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir";

/// Fields of DeploymentSpec and StatefulSetSpec.
const WORKLOAD: &str = "minReadySeconds paused persistentVolumeClaimRetentionPolicy podManagementPolicy \
    progressDeadlineSeconds replicas revisionHistoryLimit selector serviceName strategy template updateStrategy \
    volumeClaimTemplates";

/// Blocks with the keys that other tools have there.
const BLOCKS: [(&str, &str); 11] = [
    ("health", "disable interval retries start_interval start_period test timeout"),
    (
        "health",
        "exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket \
         terminationGracePeriodSeconds timeoutSeconds",
    ),
    ("volumes", "bind consistency read_only source target type volume"),
    ("volumes", "mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr"),
    ("ports", "app_protocol host_ip mode name protocol published target"),
    ("ports", "containerPort hostIP hostPort name protocol"),
    (
        "security",
        "allowPrivilegeEscalation appArmorProfile capabilities privileged procMount readOnlyRootFilesystem runAsGroup \
         runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions fsGroup fsGroupChangePolicy \
         supplementalGroups supplementalGroupsPolicy sysctls seLinuxChangePolicy",
    ),
    ("resources", "claims limits requests reservations cpus pids devices generic_resources memory"),
    ("logging", "driver options"),
    ("rollout", "delay failure_action max_failure_ratio monitor order parallelism rollingUpdate type"),
    ("stop", "preStop stopSignal terminationGracePeriodSeconds"),
];

/// The only problem of a spec, without its place.
fn only_problem(lines: &str) -> String {
    let found = run(&with_spec(lines)).expect_err(lines);
    assert_eq!(found.len(), 1, "{lines}: {found:#?}");
    assert_eq!(found[0].problem.suggestion, None, "a guess: {}", found[0]);
    found[0].problem.message.clone()
}

#[test]
fn every_key_of_compose_and_kubernetes_is_ours_or_has_an_answer() {
    for list in [COMPOSE_SERVICE, POD_SPEC, CONTAINER, WORKLOAD] {
        for word in list.split_whitespace() {
            if SPEC.key(word).is_some() {
                continue;
            }
            let message = only_problem(&format!("image: a:1\n{word}: x"));
            assert!(!message.contains("unknown field"), "{word}: {message}");
        }
    }
}

#[test]
fn every_key_of_their_blocks_is_ours_or_has_an_answer() {
    let spec = &kinds()[0].fields().into_iter().find(|topic| topic.key.name == "spec").unwrap();
    for (block, words) in BLOCKS {
        let topic = spec.fields().into_iter().find(|topic| topic.key.name == block).unwrap();
        let shape = topic.shape().unwrap();
        for word in words.split_whitespace() {
            let is_known =
                shape.key(word).is_some() || shape.later.contains(&word) || shape.foreign_key(word).is_some();
            assert!(is_known, "{block}.{word}");
        }
    }
}

/// What an answer names exists, and no table has a key twice or a key of ours.
#[test]
fn answers_name_keys_that_exist() {
    let mut seen = BTreeSet::new();
    let mut open = kinds();
    while let Some(topic) = open.pop() {
        open.extend(topic.fields());
        let Some(shape) = topic.shape() else { continue };
        for foreign in shape.foreign_keys() {
            let word = foreign.word;
            let path = format!("{}.{word}", topic.path);
            let is_ours = shape.key(word).is_some() || shape.later.contains(&word);
            assert!(!is_ours, "{path} is a key of ours");
            let in_lists = topic.path.starts_with("list.");
            assert!(seen.insert(path.clone()) || in_lists, "{path} has two answers");
            if let Some(key) = foreign.instead() {
                assert!(below(&topic, key), "{path}: there is no {key}");
            }
            let message = foreign.message();
            let ends = message.ends_with(['.', ';', ' ']) || message.is_empty();
            assert!(!ends, "{path}: {message}");
            if let ForeignAnswer::Under { key, .. } = foreign.answer {
                let last = key.rsplit('.').next().unwrap();
                assert!(message.contains(last), "{path}: {message} does not name {last}");
            }
        }
    }
}

fn below(topic: &Topic, path: &str) -> bool {
    let mut shape: Option<&SchemaNode> = topic.shape();
    let mut topic = topic.clone();
    path.split('.').all(|name| {
        let is_key = shape.is_some_and(|shape| shape.key(name).is_some());
        if let Some(field) = topic.fields().into_iter().find(|field| field.key.name == name) {
            shape = field.shape();
            topic = field;
        }
        is_key
    })
}

#[test]
fn known_words_say_where_they_are_written() {
    for (word, message) in [
        ("imagePullPolicy", "write `pull`: `ifMissing`, `always` or `never`"),
        ("terminationGracePeriodSeconds", "write `stop.grace`, a duration with a unit such as `30s`"),
        ("env_file", "files of variables are not read; write the variables under `env`, as a map"),
        ("cap_add", "write `security.capAdd`"),
        ("depends_on", "`depends_on` is not supported yet; until then let the service retry"),
        ("privileged", "privileged containers are not supported; add the capabilities"),
        ("secrets", "`secrets` is not supported yet; until then pass secrets in `env`"),
    ] {
        let got = only_problem(&format!("image: a:1\n{word}: x"));
        assert!(got.starts_with(message), "{word}: {got}");
    }
}
