//! An allocator that counts what the case at hand takes.

#![allow(unsafe_code, reason = "the interface of a global allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt,
    io::Write,
};

/// A request of this size never is honest here; the system might even grant it.
const ABSURD: usize = 4 << 30;

/// The system's allocator, watched.
pub struct Watched;

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

fn count(size: usize) {
    // Threads allocate until after their locals are gone.
    let counted = HELD.try_with(|held| {
        held.set(held.get() + size as i64);
        PEAK.set(PEAK.get().max(held.get()));
        LARGEST.set(LARGEST.get().max(size as u64));
    });
    if size >= ABSURD && counted.is_ok() {
        let case = CASE.get().unwrap_or(u64::MAX);
        say(format_args!("case {case} asks for {size} bytes: ZVECCTL_HOSTILE_FIRST={case} ZVECCTL_HOSTILE_CASES=1\n"));
        std::process::abort();
    }
}

fn discount(size: usize) {
    let _ = HELD.try_with(|held| held.set(held.get() - size as i64));
}

// SAFETY: every request goes to the system's allocator as it is; counting touches nothing but integers of this thread.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        discount(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        discount(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}
