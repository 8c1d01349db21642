//! What a spec implies for the pace of a rollout; `ctl` shows it and the orchestrator's bounds follow from it. Pure.

use super::{Release, ServiceSpec, Volume};

/// Limits of a rollout, in replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many more than wanted may run.
    pub surge: u32,
    /// How many fewer than wanted may be available.
    pub missing: u32,
}

impl Release<'_> {
    /// Whether a replica of this release is started only when the replica of `other` that it replaces is gone, where `count`
    /// are wanted: no two containers may write to a volume with one writer, and a replica with a volume of its own, also
    /// one that its image declares, needs a free slot.
    pub fn waits_for(self, other: Release<'_>, count: u32) -> bool {
        let written = |v: &Volume| !v.per_replica && !v.read_only;
        let shares = |v: &Volume| other.spec.volumes.iter().any(|o| o.origin == v.origin && written(o));
        let waits = |v: &Volume| v.per_replica || (count <= 1 && written(v) && shares(v));
        !self.image_volumes().is_empty() || self.spec.volumes.iter().any(waits)
    }
}

impl ServiceSpec {
    /// How far a rollout may go above and below the count. A rollout that stops replicas first has no surge, whatever the
    /// policy says. Where both limits round to nothing (10 % of 3, and no surge) one replica may be missing, or none
    /// could ever be replaced.
    pub fn pace(&self, stops_first: bool) -> Pace {
        let count = self.replica_count();
        let surge = if stops_first { 0 } else { self.rollout.max_surge.of_rounded_up(count) };
        let missing = self.rollout.max_unavailable.of_rounded_down(count);
        Pace { surge, missing: if surge == 0 && missing == 0 { 1 } else { missing } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NumberOrPercent::{self, Number, Percent};
    use crate::model::{ImageConfig, ResolvedImage};

    #[test]
    fn pace_rounds_surge_up_and_unavailable_down() {
        let n = Number;
        let p = Percent;
        let cases: &[(u32, NumberOrPercent, NumberOrPercent, u32, u32)] = &[
            (3, n(1), n(0), 0, 1),
            (1, n(1), n(0), 0, 1),
            (10, p(25), p(25), 2, 3), // 2.5 down is 2, 2.5 up is 3
            (3, p(10), p(10), 0, 1),  // 0.3 down is 0, 0.3 up is 1
            (3, n(0), p(10), 1, 0),   // both nothing: one may be missing
            (4, p(100), p(0), 0, 4),
            (4, n(0), p(100), 4, 0),
            (2, n(0), n(5), 5, 0), // more than there are
            (0, n(1), n(0), 0, 1),
            (200, p(1), p(1), 2, 2),
        ];
        for (count, up, down, missing, surge) in cases {
            let mut spec = ServiceSpec::of_image("users:1");
            spec.replicas = Some(*count);
            spec.rollout.max_surge = *up;
            spec.rollout.max_unavailable = *down;
            let pace = spec.pace(false);
            assert_eq!((pace.missing, pace.surge), (*missing, *surge), "{count} +{up} -{down}");
        }
    }

    #[test]
    fn volumes_that_one_container_writes_to_stop_first() {
        let spec = |volume: &str| {
            let mut spec = ServiceSpec::of_image("db:1");
            let (name, how) = volume.split_once(' ').unwrap_or((volume, ""));
            let (name, path) = (name.to_owned(), "/data".to_owned());
            let is_none = name.is_empty();
            let volume =
                Volume { read_only: how == "ro", per_replica: how == "own", ..Volume::named(name, path) };
            spec.volumes = Some(volume).into_iter().filter(|_| !is_none).collect();
            spec
        };
        // made, there, count -> whether it waits
        for (made, there, count, waits) in [
            ("", "", 1, false),
            ("data", "data", 1, true),
            ("data", "data", 3, false),
            ("data", "", 1, false),
            ("", "data", 1, false),
            ("data", "other", 1, false),
            ("data", "data ro", 1, false),
            ("data ro", "data", 1, false),
            ("data", "data own", 1, false),
            ("data own", "data own", 3, true),
            ("data own", "", 3, true),
            ("", "data own", 3, false),
        ] {
            let image = ResolvedImage::without_config("db:1", "sha256:aa");
            let (new, old) = (spec(made), spec(there));
            let new = Release { spec: &new, image: &image, restarts: 0 };
            let old = Release { spec: &old, image: &image, restarts: 0 };
            assert_eq!(new.waits_for(old, count), waits, "{made:?} {there:?} {count}");
        }
        let paces = [(true, 0), (true, 2), (false, 0)].map(|(stops_first, missing)| {
            let mut spec = ServiceSpec::of_image("db:1");
            spec.replicas = Some(3);
            spec.rollout.max_unavailable = Number(missing);
            let pace = spec.pace(stops_first);
            (pace.surge, pace.missing)
        });
        assert_eq!(paces, [(0, 1), (0, 2), (1, 0)]);
    }

    #[test]
    fn volumes_that_an_image_declares_stop_first_unless_the_manifest_mounts_them() {
        let config = ImageConfig { volumes: ["/data".to_owned()].into(), ..ImageConfig::default() };
        let image = ResolvedImage { config, ..ResolvedImage::without_config("db:1", "sha256:aa") };
        let mut spec = ServiceSpec::of_image("db:1");
        let waits = |spec: &ServiceSpec| {
            let release = Release { spec, image: &image, restarts: 0 };
            release.waits_for(release, 3)
        };
        assert!(waits(&spec));
        spec.volumes = vec![Volume::named("data", "/data")];
        assert!(!waits(&spec), "three replicas share the named volume");
    }
}
