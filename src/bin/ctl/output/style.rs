//! Colours and marks. Pure.

/// What the terminal can display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colour: bool,
    pub(crate) unicode: bool,
}

/// A colour. It only repeats what a mark or word already says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Bad,
    Attention,
    Faint,
}

/// Our marks and their ASCII fallbacks.
const SPELLINGS: [(char, &str); 8] =
    [('✓', "ok"), ('✗', "x"), ('▸', ">"), ('→', "->"), ('…', "..."), ('█', "#"), ('░', "."), ('·', "-")];

impl Style {
    /// Replaces marks that the terminal cannot display.
    pub(crate) fn spell(self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        SPELLINGS.iter().fold(text.to_owned(), |text, (mark, spelling)| text.replace(*mark, spelling))
    }

    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.colour => return text.to_owned(),
            Paint::Good => "32",
            Paint::Bad => "1;31",
            Paint::Attention => "33",
            Paint::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Whether a locale (`LC_ALL`, `LC_CTYPE` or `LANG`) uses UTF-8.
pub(super) fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spell_replaces_marks_without_unicode() {
        let style = Style { colour: false, unicode: false };
        assert_eq!(style.spell("✓ 12 → 13 …"), "ok 12 -> 13 ...");
        assert_eq!(Style { unicode: true, ..style }.spell("✓"), "✓");
    }

    #[test]
    fn paint_needs_colour() {
        let style = Style { colour: false, unicode: true };
        assert_eq!(style.paint(Paint::Bad, "x"), "x");
        assert_eq!(Style { colour: true, ..style }.paint(Paint::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }

    #[test]
    fn is_utf8_recognises_locales() {
        for (locale, utf8) in [("C.UTF-8", true), ("de_DE.utf8", true), ("C", false), ("", false)] {
            assert_eq!(is_utf8(locale), utf8, "{locale}");
        }
    }
}
