//! Which kind of Engine it is, from what it says of itself, and what follows for reaching its containers. Pure.

use crate::model::Reach;

/// Where an Engine runs its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// In this machine's own network: its bridges are ours to use.
    #[default]
    Native,
    /// In a network namespace of its own, as a user without rights: its bridges lie in there.
    Rootless,
    /// In a virtual machine that Docker Desktop runs.
    Desktop,
}

impl EngineKind {
    /// From `SecurityOptions` and `OperatingSystem` of `docker info`. What is not known by these is taken for native.
    pub(super) fn of(security_options: &[String], operating_system: &str) -> Self {
        let is_rootless = |option: &String| option.split(',').any(|part| part == "name=rootless");
        match operating_system {
            "Docker Desktop" => Self::Desktop,
            _ if security_options.iter().any(is_rootless) => Self::Rootless,
            _ => Self::Native,
        }
    }

    /// How its containers are reached.
    pub fn reach(self) -> Reach {
        match self {
            Self::Native => Reach::Bridge,
            Self::Rootless | Self::Desktop => Reach::Published,
        }
    }

    /// The name by which its containers know this machine, where it has one.
    pub fn machine_name(self) -> Option<&'static str> {
        match self {
            Self::Native | Self::Rootless => None,
            Self::Desktop => Some("host.docker.internal"),
        }
    }
}

/// Limits that the Engine takes and does not enforce, from `MemoryLimit` and `CpuCfsQuota` of `docker info`.
pub(super) fn unenforced(memory: Option<bool>, cpu: Option<bool>) -> Vec<&'static str> {
    let limits = [("memory", memory), ("cpu", cpu)];
    limits.into_iter().filter(|(_, enforced)| *enforced == Some(false)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_what_it_says_of_itself() {
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
            assert_eq!(EngineKind::of(&options, system), kind, "{options:?} {system}");
        }
    }
}
