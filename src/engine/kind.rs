//! What an Engine says of itself in `docker info`: its kind, and what it does not enforce. Pure.

use crate::model::EngineKind;

/// The kind, from `SecurityOptions` and `OperatingSystem`. What is not known by these is taken for native.
pub(super) fn kind(security_options: &[String], operating_system: &str) -> EngineKind {
    let is_rootless = |option: &String| option.split(',').any(|part| part == "name=rootless");
    match operating_system {
        "Docker Desktop" => EngineKind::Desktop,
        _ if security_options.iter().any(is_rootless) => EngineKind::Rootless,
        _ => EngineKind::Native,
    }
}

/// Limits that it takes and does not enforce, from `MemoryLimit` and `CpuCfsQuota`.
pub(super) fn unenforced(memory: Option<bool>, cpu: Option<bool>) -> Vec<&'static str> {
    let limits = [("memory", memory), ("cpu", cpu)];
    limits.into_iter().filter(|(_, enforced)| *enforced == Some(false)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_unenforced_limits_follow_engine_info() {
        let seccomp = "name=seccomp,profile=default";
        assert_eq!(unenforced(Some(true), None), [] as [&str; 0]);
        assert_eq!(unenforced(Some(false), Some(false)), ["memory", "cpu"]);
        for (options, system, kind) in [
            (vec![seccomp], "Debian GNU/Linux 12 (bookworm)", EngineKind::Native),
            (vec![], "", EngineKind::Native),
            (vec![seccomp, "name=rootless"], "Debian GNU/Linux 12 (bookworm)", EngineKind::Rootless),
            (vec![seccomp, "name=cgroupns"], "Docker Desktop", EngineKind::Desktop),
            (vec!["name=rootlessness"], "Rootless OS", EngineKind::Native),
        ] {
            let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
            assert_eq!(super::kind(&options, system), kind, "{options:?} {system}");
        }
    }
}
