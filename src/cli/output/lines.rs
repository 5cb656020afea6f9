//! A table that is written line by line: for results that may be larger than memory.

use std::io::{self, Write};

use super::page::printable;

/// Rows under fixed column widths. A cell wider than its column pushes the rest of its line to the right; nothing is cut.
pub struct LineTable {
    widths: Vec<usize>,
}

impl LineTable {
    /// Writes the header. Cells are padded on the right to the width of their column; the last column is
    /// never padded.
    pub fn start(out: &mut dyn Write, columns: &[(&str, usize)]) -> io::Result<Self> {
        let table = Self { widths: columns.iter().map(|(_, width)| *width).collect() };
        let header: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        table.row(out, &header)?;
        Ok(table)
    }

    /// Writes one row.
    pub fn row(&self, out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let cell = printable(cell);
            let width = self.widths.get(column).copied().unwrap_or(0);
            if column + 1 == cells.len() {
                line.push_str(&cell);
            } else {
                line.push_str(&format!("{cell:width$}  "));
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}
