//! Tables without borders. Pure.

use comfy_table::{ContentArrangement, presets};

use super::style::Style;

/// A header and rows of the same length. A column of marks has the header `""` and sits between two columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TextTable {
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Marks a row that needs attention.
pub(crate) const MARK: &str = "!";

impl TextTable {
    /// Header and rows, without a trailing newline.
    pub(crate) fn render(&self, style: Style) -> String {
        self.lines(style).join("\n")
    }

    /// Rows without the header, to append below earlier rows.
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
        // Two spaces between columns, one on each side of a column of marks.
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
    fn render_aligns_columns_and_marks() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let table = TextTable {
            header: vec!["SERVICE", "", "READY", ""],
            rows: vec![row(["checkout", "", "4/4", ""]), row(["web", MARK, "1/2", "web-4-b: → x"])],
        };
        let render = |unicode| table.render(Style { colour: false, unicode });
        assert_eq!(render(true), "SERVICE    READY\ncheckout   4/4\nweb      ! 1/2    web-4-b: → x");
        assert_eq!(render(false), "SERVICE    READY\ncheckout   4/4\nweb      ! 1/2    web-4-b: -> x");
    }
}
