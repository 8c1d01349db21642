//! Tables without lines. PURE.

use comfy_table::{ContentArrangement, presets};

use super::style::Style;

/// A header and rows of the same length. A column of marks has the header `""` and sits in the gutter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Table {
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The mark of a row that wants attention, in a column of its own.
pub(crate) const MARK: &str = "!";

impl Table {
    /// Header and rows, without an end of line after the last.
    pub(crate) fn render(&self, style: Style) -> String {
        self.lines(style).join("\n")
    }

    /// The rows alone: what follows under a header that has been shown.
    pub(crate) fn render_rows(&self, style: Style) -> String {
        self.lines(style).split_off(1).join("\n")
    }

    fn lines(&self, style: Style) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.header.iter().map(|title| style.spell(title)));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| style.spell(cell)));
        }
        // Two blanks between columns; before a column of marks one, and after it one.
        for (index, column) in table.column_iter_mut().enumerate() {
            let title = |index: usize| self.header.get(index).copied();
            let mark = |index: usize| title(index) == Some("") && index + 1 < self.header.len();
            let right = if mark(index) || mark(index + 1) { 1 } else { 2 };
            column.set_padding((0, right));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_marks_sit_in_the_gutter() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let table = Table {
            header: vec!["SERVICE", "", "READY", ""],
            rows: vec![row(["checkout", "", "4/4", ""]), row(["web", MARK, "1/2", "web-4-b: → x"])],
        };
        let render = |unicode| table.render(Style { colour: false, unicode });
        assert_eq!(render(true), "SERVICE    READY\ncheckout   4/4\nweb      ! 1/2    web-4-b: → x");
        assert_eq!(render(false), "SERVICE    READY\ncheckout   4/4\nweb      ! 1/2    web-4-b: -> x");
    }
}
