//! The deletion guard: many deletions in a short time look like a mistake, and wait for the user. Pure.
//!
//! Forgotten with the process. What is deleted, and what there is to delete, are arguments.

use std::collections::BTreeMap;

use super::{Millis, Mono};

/// So many may always be deleted.
const ALWAYS: usize = 3;
/// Beyond that, this percentage of all there are.
const PERCENT: usize = 30;
/// Deletions within this time are summed.
const WINDOW: Millis = Millis::secs(600);

/// Whether `count` of `all` may be deleted within [`WINDOW`].
fn deletion_allowed(count: usize, all: usize) -> bool {
    count <= ALWAYS.max(all * PERCENT / 100)
}

/// What was deleted lately without being confirmed: many that go one by one are as much of a mistake as many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentDeletions<T> {
    released: BTreeMap<T, Mono>,
}

impl<T> Default for RecentDeletions<T> {
    fn default() -> Self {
        Self { released: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> RecentDeletions<T> {
    /// Whether `wanted` more of `all` may be deleted. What `exists` is not gone: declared again, or not deleted yet.
    pub fn allows(&self, wanted: usize, all: usize, exists: impl Fn(&T) -> bool, now: Mono) -> bool {
        let is_gone = |(item, at): &(&T, &Mono)| now.since(**at) < WINDOW && !exists(item);
        let gone = self.released.iter().filter(is_gone).count();
        deletion_allowed(wanted + gone, all + gone)
    }

    /// Records deletions.
    pub fn record<'a>(&mut self, items: impl IntoIterator<Item = &'a T>, now: Mono)
    where
        T: 'a,
    {
        self.released.extend(items.into_iter().map(|item| (item.clone(), now)));
    }

    /// Forgets what is older than the window and no longer exists.
    pub fn forget(&mut self, exists: impl Fn(&T) -> bool, now: Mono) {
        self.released.retain(|item, at| exists(item) || now.since(*at) < WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn items(range: std::ops::Range<u32>) -> BTreeSet<u32> {
        range.collect()
    }

    #[test]
    fn deletion_allowed_up_to_three_or_thirty_percent() {
        let rows =
            [(3, 3, true), (4, 4, false), (4, 13, false), (4, 14, true), (30, 100, true), (31, 100, false)];
        for (count, all, expected) in rows {
            assert_eq!(deletion_allowed(count, all), expected, "{count} of {all}");
        }
    }

    #[test]
    fn recent_deletions_are_summed_over_the_window() {
        let mut recent = RecentDeletions::default();
        recent.record(&items(0..3), Mono(0));
        assert!(
            recent.allows(3, 3, |item| items(0..3).contains(item), Mono(1)),
            "those that exist count once"
        );
        assert!(!recent.allows(1, 1, |_| false, Mono(599_999)));
        assert!(recent.allows(1, 1, |_| false, Mono(600_000)));
        recent.forget(|_| false, Mono(600_000));
        assert_eq!(recent, RecentDeletions::default());
    }
}
