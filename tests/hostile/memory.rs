//! An allocator that counts what the case at hand takes.

use std::{cell::Cell, fmt, io::Write};

use crate::allocator::{ABSURD, Counter};

/// What the allocator tells.
pub struct PerThread;

thread_local! {
    static CASE: Cell<Option<u64>> = const { Cell::new(None) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    static LARGEST: Cell<u64> = const { Cell::new(0) };
}

/// What a case took.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Most bytes at one time.
    pub peak: u64,
    /// Largest single request.
    pub largest: u64,
}

/// Begins to count on this thread.
pub fn begin(case: u64) -> i64 {
    CASE.set(Some(case));
    LARGEST.set(0);
    PEAK.set(HELD.get());
    HELD.get()
}

/// Ends what began with `before`.
pub fn end(before: i64) -> Used {
    CASE.set(None);
    Used { peak: u64::try_from(PEAK.get() - before).unwrap_or(0), largest: LARGEST.get() }
}

/// Whether this thread works on a case.
pub fn is_in_a_case() -> bool {
    CASE.get().is_some()
}

/// Prints on stderr without allocating.
pub fn say(text: fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

impl Counter for PerThread {
    fn given(size: usize) {
        // Threads allocate until after their locals are gone.
        let counted = HELD.try_with(|held| {
            held.set(held.get() + size as i64);
            PEAK.set(PEAK.get().max(held.get()));
            LARGEST.set(LARGEST.get().max(size as u64));
        });
        if size >= ABSURD && counted.is_ok() {
            let case = CASE.get().unwrap_or(u64::MAX);
            say(format_args!(
                "case {case} asks for {size} bytes: ZVECCTL_HOSTILE_FIRST={case} ZVECCTL_HOSTILE_CASES=1\n"
            ));
            std::process::abort();
        }
    }

    fn taken(size: usize) {
        let _ = HELD.try_with(|held| held.set(held.get() - size as i64));
    }
}
