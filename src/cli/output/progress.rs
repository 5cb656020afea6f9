//! Progress of long work, on stderr, only for people.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar that disappears when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(what: &str, total: u64, quiet: bool) -> Self {
        // When stdout is the terminal too, documents scroll there: a bar would be torn apart.
        let visible = !quiet && std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() },
        );
        let template = "{prefix} [{bar:30}] {human_pos}/{human_len} ({per_sec}, {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        Self(bar)
    }

    pub(super) fn of_bytes(what: &str, total: Option<u64>, quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{prefix} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)",
            None => "{prefix} {spinner} {bytes} ({bytes_per_sec})",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        Self(bar)
    }

    /// Says how far it has come.
    pub fn at(&self, units: u64) {
        self.0.set_position(units);
    }

    /// Counts `units` as done, of `total` in all.
    pub fn set(&self, units: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(units.min(total));
    }

    /// Counts `units` more as done.
    pub fn add(&self, units: u64) {
        self.0.inc(units);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
