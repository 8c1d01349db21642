//! The word that was probably meant. Pure.

/// Longest word that is compared: no key of ours is half as long, and comparing costs the product of the lengths.
const WORD_MAX: usize = 48;

/// Least similarity (0 to 1) at which a guess helps more than it misleads.
const SIMILAR: f64 = 0.84;

/// The candidate nearest to a word; `None` where none is near.
pub fn nearest<'w>(word: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let word = folded(word);
    candidates
        .map(|candidate| (strsim::jaro_winkler(&word, &folded(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Without the usual differences: case, `-` and `_`.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_similar_word_or_none() {
        let words = ["image", "replicas", "route", "rollout", "maxSurge", "health"];
        let cases = [
            ("imgae", Some("image")),
            ("replica", Some("replicas")),
            ("max_surge", Some("maxSurge")),
            ("maxsurge", Some("maxSurge")),
            ("routes", Some("route")),
            ("zzz", None),
            ("", None),
        ];
        for (word, want) in cases {
            assert_eq!(nearest(word, words.into_iter()), want, "{word}");
        }
        assert_eq!(nearest(&"image".repeat(100), words.into_iter()), None);
    }
}
