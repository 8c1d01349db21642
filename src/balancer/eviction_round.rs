//! Which idle connections are closed to make room. Pure.

use crate::model::Mono;

/// The oldest idle connections, up to a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EvictionRound {
    oldest_until: Mono,
    left: usize,
}

impl EvictionRound {
    /// The round that closes the oldest `count` of connections that are idle since these times; `None` if there are none.
    pub(super) fn of_oldest(count: usize, mut since: Vec<Mono>) -> Option<Self> {
        let count = count.min(since.len());
        let (_, oldest_until, _) = since.select_nth_unstable(count.checked_sub(1)?);
        Some(Self { oldest_until: *oldest_until, left: count })
    }

    /// How many connections it still takes.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Whether a connection that is idle since then is closed.
    pub(super) fn takes(&mut self, since: Mono) -> bool {
        let takes = self.left > 0 && since <= self.oldest_until;
        self.left -= usize::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_takes_the_oldest_up_to_its_number() {
        let since = || [5, 1, 3, 3, 9, 3].map(Mono).to_vec();
        for (count, expected) in
            [(1, &[1][..]), (2, &[1, 3]), (3, &[1, 3, 3]), (5, &[5, 1, 3, 3, 3]), (9, &[5, 1, 3, 3, 9, 3])]
        {
            let mut round = EvictionRound::of_oldest(count, since()).unwrap();
            let taken: Vec<Mono> = since().into_iter().filter(|since| round.takes(*since)).collect();
            assert_eq!(taken, expected.iter().map(|ms| Mono(*ms)).collect::<Vec<_>>(), "{count}");
        }
        assert_eq!(EvictionRound::of_oldest(3, Vec::new()), None);
        assert_eq!(EvictionRound::of_oldest(0, since()), None);
    }
}
