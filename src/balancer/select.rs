//! Which backend, revision and endpoint takes a request. Pure.

use crate::model::Balance;

/// The chances of one choice of an endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    /// Counts the choices from this pool; starts anywhere.
    pub(super) turn: usize,
    /// A random number.
    pub(super) random: u64,
}

/// The index of one of these weights, each as likely as its part of their sum; `None` where that is 0.
fn weighted(weights: impl Iterator<Item = u32> + Clone, random: u64) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    // The product of 64 random bits and the sum needs 128; its upper half is below the sum.
    let position = u64::try_from((u128::from(random) * u128::from(total)) >> 64).unwrap_or(0);
    at(weights, position)
}

/// The index of the weight at a position of their sum; `None` beyond it.
fn at(weights: impl Iterator<Item = u32>, mut position: u64) -> Option<usize> {
    for (index, weight) in weights.enumerate() {
        match position.checked_sub(u64::from(weight)) {
            Some(rest) => position = rest,
            None => return Some(index),
        }
    }
    None
}

/// Draws indexes by weight until `take` takes one: the first each as likely as its part of the sum, then the others in
/// proportion, so that one that takes nothing leaves its part to them. An index with weight 0 is never drawn. The same random
/// numbers draw the same order.
pub(super) fn draw_in_order<T>(
    weights: impl Iterator<Item = u32> + Clone,
    mut random: impl FnMut() -> u64,
    mut take: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    let mut drawn: Vec<usize> = Vec::new();
    loop {
        let left = weights.clone().enumerate();
        let left = left.map(|(index, weight)| if drawn.contains(&index) { 0 } else { weight });
        let index = weighted(left, random())?;
        if let Some(taken) = take(index) {
            return Some(taken);
        }
        drawn.push(index);
    }
}

/// Chooses one of `count` endpoints that are `usable`; `None` where none is. `load` is asked of two at most. All endpoints
/// are looked at only if the first that is drawn is not usable.
pub(super) fn choose(
    balance: Balance,
    draw: Draw,
    count: usize,
    load: impl Fn(usize) -> u64,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    match balance {
        Balance::RoundRobin => {
            let drawn = draw.turn.checked_rem(count)?;
            if usable(drawn) {
                return Some(drawn);
            }
            nth_usable(count, turn_of_usable(draw.turn, count, &usable)?, usable)
        }
        Balance::LeastRequests => {
            let (one, other) = two_of(count, draw.random)?;
            if usable(one) && usable(other) {
                return Some(less_loaded(one, other, load));
            }
            let usable_count = (0..count).filter(|index| usable(*index)).count();
            // only some random numbers lead to here, so the same one would prefer some of the usable ones
            let (one, other) = two_of(usable_count, next_random(draw.random))?;
            let one = nth_usable(count, one, &usable)?;
            let other = nth_usable(count, other, &usable)?;
            Some(less_loaded(one, other, load))
        }
    }
}

/// The position among the usable endpoints that takes the turn of an unusable one; `None` where none is usable. The turns of
/// the unusable ones are numbered and dealt out in order. Dealt to the next usable one, that would get the turns of all
/// unusable ones before it.
fn turn_of_usable(turn: usize, count: usize, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let drawn = turn.checked_rem(count)?;
    let usable_before = (0..drawn).filter(|index| usable(*index)).count();
    let usable_count = usable_before + (drawn..count).filter(|index| usable(*index)).count();
    let unusable_turns = turn / count * (count - usable_count) + (drawn - usable_before);
    unusable_turns.checked_rem(usable_count)
}

fn nth_usable(count: usize, position: usize, usable: impl Fn(usize) -> bool) -> Option<usize> {
    (0..count).filter(|index| usable(*index)).nth(position)
}

/// Chooses one of the endpoints that are `usable`, in proportion to their weights; one with weight 0 never.
pub(super) fn choose_weighted(
    balance: Balance,
    draw: Draw,
    weights: &[u32],
    load: impl Fn(usize) -> u64,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let weight = |index: usize| if usable(index) { weights[index] } else { 0 };
    let all = (0..weights.len()).map(weight);
    match balance {
        Balance::RoundRobin => {
            let total: u64 = all.clone().map(u64::from).sum();
            let position = (draw.turn as u64).checked_rem(total)?;
            at(all, position)
        }
        Balance::LeastRequests => {
            let one = weighted(all.clone(), draw.random)?;
            let rest = all.enumerate().map(|(index, weight)| if index == one { 0 } else { weight });
            let Some(other) = weighted(rest, draw.random.rotate_left(32)) else { return Some(one) };
            let relative = |index: usize, by: usize| u128::from(load(index)) * u128::from(weights[by]);
            Some(if relative(other, one) < relative(one, other) { other } else { one })
        }
    }
}

/// Another random number: that of SplitMix64.
fn next_random(random: u64) -> u64 {
    let sum = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let once = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

fn less_loaded(one: usize, other: usize, load: impl Fn(usize) -> u64) -> usize {
    if load(other) < load(one) { other } else { one }
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
    fn round_robin_takes_turns_and_deals_out_those_of_the_unusable() {
        let turns = |usable: fn(usize) -> bool| -> Vec<Option<usize>> {
            (5..10).map(|turn| choose(ROUND, Draw { turn, random: 0 }, 3, |_| 0, usable)).collect()
        };
        assert_eq!(turns(|_| true), [2, 0, 1, 2, 0].map(Some));
        assert_eq!(turns(|i| i != 0), [2, 1, 1, 2, 2].map(Some));
        assert_eq!(turns(|_| false), [None; 5]);
        assert_eq!(choose(ROUND, Draw { turn: usize::MAX, random: 0 }, 3, |_| 0, |_| true), Some(0));
    }

    #[test]
    fn round_robin_shares_evenly_between_two_usable_of_twelve() {
        for pair in [[0, 1], [0, 6], [4, 11], [10, 11]] {
            let mut hits = [0; 12];
            for turn in 1_000..1_240 {
                let chosen = choose(ROUND, Draw { turn, random: 0 }, 12, |_| 0, |i| pair.contains(&i));
                hits[chosen.unwrap()] += 1;
            }
            assert_eq!(pair.map(|index| hits[index]), [120, 120], "{pair:?}");
        }
    }

    #[test]
    fn choose_from_empty_pool_returns_none() {
        for balance in [RANDOM, ROUND] {
            assert_eq!(choose(balance, Draw { turn: 1, random: 1 }, 0, |_| 0, |_| true), None);
        }
    }

    #[test]
    fn two_of_draws_every_pair() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            seen.insert(two_of(4, rng.u64(..)).unwrap());
        }
        assert_eq!(seen.len(), 12, "{seen:?}");
    }

    /// How often each index is drawn of `draws`.
    fn histogram(count: usize, draws: u32, mut draw: impl FnMut(u64) -> Option<usize>) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut hits = vec![0u32; count];
        for _ in 0..draws {
            hits[draw(rng.u64(..)).unwrap()] += 1;
        }
        hits.into_iter().map(|hit| f64::from(hit) / f64::from(draws)).collect()
    }

    fn assert_close(found: &[f64], wanted: &[f64]) {
        let is_close = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 0.01);
        assert!(is_close && found.len() == wanted.len(), "{found:?}, wanted {wanted:?}");
    }

    #[test]
    fn weighted_draws_in_proportion_and_never_weight_0() {
        let weights = [1, 0, 90, 9];
        let found = histogram(4, 20_000, |random| weighted(weights.into_iter(), random));
        assert_close(&found, &[0.01, 0.0, 0.9, 0.09]);
        assert_eq!(found[1], 0.0);
        assert_eq!(weighted([0, 0].into_iter(), 5), None);
        assert_eq!(weighted(std::iter::empty(), 5), None);
        assert_eq!(weighted([u32::MAX; 3].into_iter(), u64::MAX), Some(2));
    }

    /// How often each of three weights is taken if only some take.
    fn taken(weights: [u32; 3], takes: [bool; 3]) -> Vec<f64> {
        histogram(3, 20_000, |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            draw_in_order(weights.into_iter(), || random.u64(..), |index| takes[index].then_some(index))
        })
    }

    #[test]
    fn draw_in_order_splits_declined_share_in_proportion() {
        assert_close(&taken([60, 30, 10], [true; 3]), &[0.6, 0.3, 0.1]);
        assert_close(&taken([60, 30, 10], [false, true, true]), &[0.0, 0.75, 0.25]);
        assert_close(&taken([60, 30, 10], [false, false, true]), &[0.0, 0.0, 1.0]);
    }

    #[test]
    fn weight_0_is_not_drawn_even_if_no_other_takes() {
        let mut drawn = Vec::new();
        let none = draw_in_order(
            [1, 0, 2].into_iter(),
            || 0,
            |index| -> Option<()> {
                drawn.push(index);
                None
            },
        );
        assert_eq!((none, drawn), (None, vec![0, 2]));
    }

    #[test]
    fn endpoints_are_chosen_by_weight_and_load() {
        let weights = [1, 3, 0];
        let choose = |balance, turn, random, load: fn(usize) -> u64| {
            choose_weighted(balance, Draw { turn, random }, &weights, load, |_| true)
        };
        let turns: Vec<_> = (0..8).map(|turn| choose(ROUND, turn, 0, |_| 0)).collect();
        assert_eq!(turns, [0, 1, 1, 1, 0, 1, 1, 1].map(Some));
        for random in [0, u64::MAX / 3, u64::MAX] {
            assert_eq!(choose(RANDOM, 0, random, |i| [1, 4, 0][i]), Some(0), "1 of 1 against 4 of 3");
            assert_eq!(choose(RANDOM, 0, random, |i| [1, 2, 0][i]), Some(1), "1 of 1 against 2 of 3");
        }
        assert_close(&histogram(3, 20_000, |random| choose(RANDOM, 0, random, |_| 0)), &[0.25, 0.75, 0.0]);
    }

    proptest! {
        #[test]
        fn round_robin_shares_evenly_between_the_usable_ones(
            start in 0..1_000_000_usize,
            usable in prop::collection::vec(any::<bool>(), 1..13).prop_filter("one usable", |u| u.contains(&true)),
        ) {
            let count = usable.len();
            let usable_count = usable.iter().filter(|usable| **usable).count();
            let rounds = 10 * usable_count;
            let mut hits = vec![0; count];
            for turn in start..start + rounds * count {
                let chosen = choose(ROUND, Draw { turn, random: 0 }, count, |_| 0, |i| usable[i]);
                hits[chosen.unwrap()] += 1;
            }
            let expected: Vec<usize> = usable.iter().map(|usable| if *usable { 10 * count } else { 0 }).collect();
            prop_assert_eq!(hits, expected);
        }

        #[test]
        fn choose_returns_usable_endpoint_and_never_most_loaded(
            random: u64,
            turn: usize,
            loads in prop::collection::vec((0..5u64, any::<bool>()), 1..8),
        ) {
            let any_usable = loads.iter().any(|(_, usable)| *usable);
            for balance in [RANDOM, ROUND] {
                let chosen = choose(balance, Draw { turn, random }, loads.len(), |i| loads[i].0, |i| loads[i].1);
                prop_assert_eq!(chosen.is_some(), any_usable);
                prop_assert!(chosen.is_none_or(|i| loads[i].1));
                let weights = vec![2; loads.len()];
                let draw = Draw { turn, random };
                let chosen = choose_weighted(balance, draw, &weights, |i| loads[i].0, |i| loads[i].1);
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
