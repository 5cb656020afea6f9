//! Ctrl-C: ends the process at once, unless work is under way that should stop at its next safe boundary.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::report::Exit;

static ASKED: AtomicBool = AtomicBool::new(false);
static DEFERRED: AtomicUsize = AtomicUsize::new(0);

/// Begins to listen. Where that cannot be had, Ctrl-C ends the process as the system does by itself.
pub fn install() {
    let _ = ctrlc::set_handler(|| {
        // A second one means it.
        if DEFERRED.load(Ordering::SeqCst) == 0 || ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
}

/// While this lives, Ctrl-C is only noted: the work asks [`Deferred::asked`] where it can stop and clean up.
pub struct Deferred(());

impl Deferred {
    /// Begins to defer.
    pub fn new() -> Self {
        DEFERRED.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// Whether the work should stop here.
    pub fn asked(&self) -> bool {
        ASKED.load(Ordering::Relaxed)
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        DEFERRED.fetch_sub(1, Ordering::SeqCst);
    }
}
