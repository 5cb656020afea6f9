//! A page for people: headed key-value lines, tables fitted to the terminal, findings.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

pub use crate::report::many;
use crate::report::{Finding, Severity};

/// A report that people can read.
pub trait Render {
    /// Puts the report on the page.
    fn render(&self, page: &mut Page);
}

/// Text that grows line by line.
pub struct Page {
    text: String,
    width: Option<u16>,
    color: bool,
}

impl Page {
    /// An empty page; `width` is that of the terminal, `None` for a pipe.
    pub fn new(width: Option<u16>, color: bool) -> Self {
        Self { text: String::new(), width, color }
    }

    /// What has been put on the page.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&printable(line.as_ref()));
        self.text.push('\n');
    }

    /// An empty line between two parts, unless the page is empty.
    pub fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Lines of names and values, the values aligned.
    pub fn pairs(&mut self, pairs: &[(&str, String)]) {
        let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            let _ = writeln!(self.text, "{name:widest$}  {}", printable(value));
        }
    }

    /// A table. Columns whose cells are all numbers are aligned to the right.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        match self.width {
            Some(width) => table.set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.color {
            table.enforce_styling();
        }
        let numeric: Vec<bool> = (0..header.len())
            .map(|column| {
                let mut cells = rows.iter().filter_map(|row| row.get(column)).filter(|cell| *cell != "-").peekable();
                cells.peek().is_some() && cells.all(|cell| is_number(cell))
            })
            .collect();
        let align = |column: usize| match numeric.get(column) {
            Some(true) => CellAlignment::Right,
            _ => CellAlignment::Left,
        };
        table.set_header(header.iter().enumerate().map(|(column, name)| {
            let cell = Cell::new(name).set_alignment(align(column));
            if self.color { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        for row in rows {
            table.add_row(
                row.iter().enumerate().map(|(column, cell)| Cell::new(printable(cell)).set_alignment(align(column))),
            );
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// Findings, the gravest first; nothing if there are none.
    pub fn findings(&mut self, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        self.gap();
        let mut sorted: Vec<_> = findings.iter().collect();
        sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        for finding in sorted {
            self.line(finding_line(finding));
        }
    }
}

/// One finding in one line: severity, code, place, what, how many documents.
pub fn finding_line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut line = format!("{severity}: {}", finding.code);
    if let Some(path) = &finding.path {
        let _ = write!(line, " {path}");
        if let Some(offset) = finding.offset {
            let _ = write!(line, " byte {offset}");
        }
    }
    let _ = write!(line, ": {}", finding.detail);
    if let Some(documents) = finding.documents_at_risk.filter(|documents| *documents > 0) {
        let _ = write!(line, " ({} at risk)", many(documents, "document"));
    }
    printable(&line)
}

/// Text with control characters escaped: names and keys come out of files and may hold anything.
pub fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut shown, char| {
        if char.is_control() && char != '\n' {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
        shown
    })
}

/// Bytes for people: `5.3 MB`.
pub fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// A value, or `-`.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn is_number(cell: &str) -> bool {
    let number = cell.split(' ').next().unwrap_or_default();
    number.starts_with(|first: char| first.is_ascii_digit()) && number.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut page = Page::new(None, false);
        page.line("a\u{1b}[31mb");
        page.table(&["id"], &[vec!["x\u{7}".to_owned()]]);
        page.findings(&[Finding::error("a.b", "\u{1b}c")]);
        assert!(!page.text().contains(['\u{1b}', '\u{7}']), "{}", page.text());
        assert!(page.text().contains("a\\u{1b}[31mb"));
    }

    #[test]
    fn numbers_stand_right_and_nothing_is_folded_in_a_pipe() {
        let mut page = Page::new(None, false);
        let long = "x".repeat(300);
        page.table(&["count", "name"], &[vec!["7".into(), long.clone()], vec!["100".into(), "b".into()]]);
        let lines: Vec<_> = page.text().lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].trim_start().starts_with("7 ") && lines[1].contains(&long));
        assert_eq!(lines[1].find('7'), lines[2].find("00").map(|at| at + 1));
    }
}
