//! Which endpoint takes a request. Pure.

use crate::model::Balance;

/// The chances of one choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    /// Counts the choices from this pool; starts anywhere.
    pub(super) turn: usize,
    /// A random number.
    pub(super) random: u64,
}

/// Chooses one of `count` endpoints that are `usable`; `None` where none is. `load` is asked of two at most.
pub(super) fn choose(
    balance: Balance,
    draw: Draw,
    count: usize,
    load: impl Fn(usize) -> u64,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    match balance {
        Balance::RoundRobin => {
            (0..count).map(|step| draw.turn.wrapping_add(step) % count).find(|index| usable(*index))
        }
        Balance::LeastRequests => {
            let (one, other) = two_of(count, draw.random)?;
            if usable(one) && usable(other) {
                return Some(if load(other) < load(one) { other } else { one });
            }
            let left: Vec<usize> = (0..count).filter(|index| usable(*index)).collect();
            let (one, other) = two_of(left.len(), draw.random)?;
            let (one, other) = (left[one], left[other]);
            Some(if load(other) < load(one) { other } else { one })
        }
    }
}

/// Two different numbers below `count`; twice the same where there is only one.
fn two_of(count: usize, random: u64) -> Option<(usize, usize)> {
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let one = below(count, random & 0xffff_ffff);
            let other = below(count - 1, random >> 32);
            Some((one, if other >= one { other + 1 } else { other }))
        }
    }
}

/// Scales 32 random bits to a number below `count`.
fn below(count: usize, bits: u64) -> usize {
    usize::try_from((bits * count as u64) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANDOM: Balance = Balance::LeastRequests;
    const ROUND: Balance = Balance::RoundRobin;

    #[test]
    fn round_robin_takes_turns_and_skips_the_unusable() {
        let turns = |usable: fn(usize) -> bool| -> Vec<Option<usize>> {
            (5..10).map(|turn| choose(ROUND, Draw { turn, random: 0 }, 3, |_| 0, usable)).collect()
        };
        assert_eq!(turns(|_| true), [2, 0, 1, 2, 0].map(Some));
        assert_eq!(turns(|i| i != 0), [2, 1, 1, 2, 1].map(Some));
        assert_eq!(turns(|_| false), [None; 5]);
        assert_eq!(choose(ROUND, Draw { turn: usize::MAX, random: 0 }, 3, |_| 0, |_| true), Some(0));
    }

    #[test]
    fn an_empty_pool_has_no_choice() {
        for balance in [RANDOM, ROUND] {
            assert_eq!(choose(balance, Draw { turn: 1, random: 1 }, 0, |_| 0, |_| true), None);
        }
    }

    #[test]
    fn every_pair_is_drawn() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            seen.insert(two_of(4, rng.u64(..)).unwrap());
        }
        assert_eq!(seen.len(), 12, "{seen:?}");
    }

    proptest! {
        #[test]
        fn the_choice_is_usable_and_never_the_most_loaded(
            random: u64,
            turn: usize,
            loads in prop::collection::vec((0..5u64, any::<bool>()), 1..8),
        ) {
            let any_usable = loads.iter().any(|(_, usable)| *usable);
            for balance in [RANDOM, ROUND] {
                let chosen = choose(balance, Draw { turn, random }, loads.len(), |i| loads[i].0, |i| loads[i].1);
                prop_assert_eq!(chosen.is_some(), any_usable);
                prop_assert!(chosen.is_none_or(|i| loads[i].1));
            }
            let all = choose(RANDOM, Draw { turn, random }, loads.len(), |i| loads[i].0, |_| true).unwrap();
            let max = loads.iter().map(|(load, _)| *load).max().unwrap();
            let others_at_max = loads.iter().enumerate().any(|(i, (load, _))| i != all && *load == max);
            prop_assert!(loads.len() == 1 || loads[all].0 < max || others_at_max);
        }
    }
}
