//! Everything that is printed, is printed here.
//!
//! stdout carries the result and nothing else; warnings, errors and progress go to stderr. A reader that closes
//! the pipe early is no error: what is left is not written.

mod lines;
mod page;
mod progress;
mod render;
mod render_engine;
mod render_salvage;
mod repaired;
mod stream;
mod verified;

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::report::{Envelope, ErrorReport, Exit, Finding};

pub use lines::LineTable;
pub use page::{Page, Render};
pub use progress::Progress;
pub use stream::StreamedReport;

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people
    Table,
    /// One JSON object
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where a command prints: its two streams, and how.
pub struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    width: Option<u16>,
    stdout: BufWriter<Box<dyn Write>>,
}

impl Output {
    /// Output to the process's streams.
    pub fn new(format: Format, color: Color, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        // A pipe has no width: nothing is folded there, so that scripts see whole values.
        // Some terminals (of `script`, of CI systems) say 0, which no table fits.
        let width = terminal.then(|| comfy_table_width().filter(|width| *width > 0).unwrap_or(100));
        Self { format, quiet, color, width, stdout: BufWriter::with_capacity(1 << 16, Box::new(io::stdout())) }
    }

    /// `--format`.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A progress display on stderr for `total` units; invisible unless stderr is a terminal and `--quiet` is off.
    pub fn progress(&self, what: &str, total: u64) -> Progress {
        Progress::new(what, total, self.quiet)
    }

    /// The same for an input of so many bytes, or of an unknown size; shown even where stdout is the terminal, which gets the report at the
    /// end only.
    pub fn progress_bytes(&self, what: &str, total: Option<u64>) -> Progress {
        Progress::of_bytes(what, total, self.quiet)
    }

    /// The stream for results that are written piece by piece.
    pub fn stdout(&mut self) -> &mut dyn Write {
        &mut self.stdout
    }

    /// Prints an envelope that is JSON in every format: for people broken into lines.
    pub fn document<T: Serialize>(&mut self, envelope: &T) -> io::Result<()> {
        match self.format {
            Format::Table => serde_json::to_writer_pretty(&mut self.stdout, envelope)?,
            Format::Json => serde_json::to_writer(&mut self.stdout, envelope)?,
        }
        self.stdout.write_all(b"\n")?;
        self.stdout.flush()
    }

    /// Whether scripts read the output.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a whole report, as a table or as its envelope.
    pub fn report<T: Serialize + Render>(
        &mut self,
        command: &str,
        collection: Option<String>,
        exit: Exit,
        data: &T,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let mut page = Page::new(self.width, self.color);
                data.render(&mut page);
                self.stdout.write_all(page.text().as_bytes())?;
            }
            Format::Json => {
                let mut envelope = Envelope::new(command, collection, exit.code());
                envelope.data = Some(data);
                serde_json::to_writer(&mut self.stdout, &envelope)?;
                self.stdout.write_all(b"\n")?;
            }
        }
        self.stdout.flush()
    }

    /// Prints a report of work that failed on the way, and why: as a table and in words, or both in one envelope.
    pub fn partial<T: Serialize + Render>(
        &mut self,
        command: &str,
        collection: Option<String>,
        exit: Exit,
        data: &T,
        error: &ErrorReport,
    ) {
        // The error is on stderr; if stdout is gone there is nobody left to tell.
        let _ = match self.format {
            Format::Table => self.report(command, collection, exit, data),
            Format::Json => {
                let mut envelope = Envelope::new(command, collection, exit.code());
                envelope.data = Some(data);
                envelope.error = Some(error.clone());
                serde_json::to_writer(&mut self.stdout, &envelope)
                    .map_err(io::Error::from)
                    .and_then(|()| self.stdout.write_all(b"\n"))
                    .and_then(|()| self.stdout.flush())
            }
        };
        write_error(error);
    }

    /// Prints why a command could not do its work: in words on stderr, and with `--format json` as the envelope on stdout.
    pub fn failure(&mut self, command: &str, collection: Option<String>, exit: Exit, error: &ErrorReport) {
        write_error(error);
        if self.format == Format::Json {
            let mut envelope = Envelope::<()>::new(command, collection, exit.code());
            envelope.error = Some(error.clone());
            // The error is on stderr already; if stdout is gone there is nobody left to tell.
            let _ = serde_json::to_writer(&mut self.stdout, &envelope)
                .map_err(io::Error::from)
                .and_then(|()| self.stdout.write_all(b"\n"));
        }
        let _ = self.stdout.flush();
    }

    /// Prints the closing envelope of a command whose stdout is a stream of documents or records. It goes to
    /// stderr: as JSON with `--format json`, otherwise only what is worth reading.
    pub fn summary<T: Serialize>(
        &mut self,
        command: &str,
        collection: Option<String>,
        exit: Exit,
        data: &T,
        findings: &[Finding],
        sentence: &str,
    ) -> io::Result<()> {
        self.stdout.flush()?;
        match self.format {
            Format::Json => {
                let mut envelope = Envelope::new(command, collection, exit.code());
                envelope.data = Some(data);
                let text = serde_json::to_string(&envelope)?;
                to_stderr(&text);
            }
            Format::Table => {
                self.warn(findings);
                if !self.quiet {
                    to_stderr(sentence);
                }
            }
        }
        Ok(())
    }

    /// Prints findings on stderr, for commands whose result leaves no place for them on stdout.
    pub fn warn(&self, findings: &[Finding]) {
        for finding in findings {
            to_stderr(&page::finding_line(finding));
        }
    }

    /// Says on stderr, at once, how many documents of the input have been read and written: those are acknowledged.
    pub fn acknowledge(&self, read: u64, written: u64) {
        to_stderr(&serde_json::json!({ "read": read, "acknowledged": written }).to_string());
    }

    /// Flushes stdout.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Prints an error in words on stderr: what, where, what to do.
pub fn write_error(error: &ErrorReport) {
    let mut text = format!("error: {} [{}]", error.message, error.code);
    if let Some(path) = &error.path
        && !error.message.contains(path.as_str())
    {
        text.push_str(&format!("\n  at: {path}"));
        if let Some(offset) = error.offset {
            text.push_str(&format!(", byte {offset}"));
        }
    }
    if let Some(hint) = &error.hint {
        text.push_str(&format!("\n  hint: {hint}"));
    }
    to_stderr(&text);
}

fn to_stderr(text: &str) {
    // Nobody left to tell if stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn comfy_table_width() -> Option<u16> {
    comfy_table::Table::new().set_content_arrangement(comfy_table::ContentArrangement::Dynamic).width()
}

/// Prints one JSON value and a line break on stdout.
pub fn print_json<T: Serialize>(value: &T) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}
