//! An allocator that counts what the whole process holds, threads of the library included.

#![allow(unsafe_code, reason = "the interface of a global allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

/// A request of this size never is honest here; the system might even grant it.
const ABSURD: usize = 4 << 30;

static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, watched.
pub struct Watched;

/// Begins to count; what is held now does not.
pub fn begin() -> i64 {
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    held
}

/// The most that was held at one time since `begin` answered `before`, in bytes.
pub fn peak(before: i64) -> u64 {
    u64::try_from(PEAK.load(Relaxed) - before).unwrap_or(0)
}

fn count(size: usize) {
    if size >= ABSURD {
        // Who started this process knows which command it was at.
        std::process::abort();
    }
    let held = HELD.fetch_add(size as i64, Relaxed) + size as i64;
    PEAK.fetch_max(held, Relaxed);
}

fn discount(size: usize) {
    HELD.fetch_sub(size as i64, Relaxed);
}

// SAFETY: every request goes to the system's allocator as it is; counting touches nothing but two integers.
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
