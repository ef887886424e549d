//! A table, for a terminal and for a page.

/// Rows of cells under a head; the first column is words, the others are figures.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When it is not as wide as the head.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.head.len(), "a row is as wide as the head");
        self.rows.push(cells);
    }

    /// In columns.
    pub(crate) fn to_text(&self) -> String {
        let widths = self.widths();
        self.lines()
            .map(|cells| {
                let line: Vec<String> = cells
                    .iter()
                    .zip(&widths)
                    .enumerate()
                    .map(|(column, (cell, width))| match column {
                        0 => format!("{cell:<width$}"),
                        _ => format!("{cell:>width$}"),
                    })
                    .collect();
                format!("{}\n", line.join("  ").trim_end())
            })
            .collect()
    }

    /// In Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> = (0..self.head.len())
            .map(|column| if column == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let mut text = row(&self.head);
        text += &row(&rule);
        text.extend(self.rows.iter().map(|cells| row(cells)));
        text
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.head).chain(&self.rows)
    }

    fn widths(&self) -> Vec<usize> {
        (0..self.head.len())
            .map(|column| {
                let cells = self.lines().map(|cells| cells[column].chars().count());
                cells.max().unwrap_or_default()
            })
            .collect()
    }
}

/// A figure with three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "–".to_owned(),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, figure};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["what", "µs"]);
        table.row(["a", "1.00"]);
        table.row(["longer", "27.5"]);
        assert_eq!(
            table.to_text(),
            "what      µs\na       1.00\nlonger  27.5\n"
        );
        assert_eq!(
            table.to_markdown(),
            "| what | µs |\n| --- | ---: |\n| a | 1.00 |\n| longer | 27.5 |\n"
        );
    }

    #[test]
    fn figure_has_three_digits() {
        assert_eq!(figure(1.0), "1.00");
        assert_eq!(figure(27.46), "27.5");
        assert_eq!(figure(1283.2), "1283");
        assert_eq!(figure(f64::NAN), "–");
    }
}
