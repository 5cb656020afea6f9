//! An allocator that counts what the whole process holds, threads of the library included.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::allocator::{ABSURD, Counter};

static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// What the allocator tells.
pub struct WholeProcess;

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

impl Counter for WholeProcess {
    fn given(size: usize) {
        if size >= ABSURD {
            // Who started this process knows which command it was at.
            std::process::abort();
        }
        let held = HELD.fetch_add(size as i64, Relaxed) + size as i64;
        PEAK.fetch_max(held, Relaxed);
    }

    fn taken(size: usize) {
        HELD.fetch_sub(size as i64, Relaxed);
    }
}
