//! Ctrl-C: long work stops at its next safe boundary; a second one ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::Exit;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to listen. Where that cannot be had, Ctrl-C ends the process as the system does by itself.
pub fn install() {
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
}

/// Whether the work should stop here.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
