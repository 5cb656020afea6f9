//! Calls into decoder crates whose panics must not leave this module.
//!
//! The Arrow and Parquet crates index and unwrap on stored numbers in places. What can be checked beforehand is; a
//! panic that happens all the same becomes an error here. The panic hook runs before the unwinding is caught, and the
//! standard one prints to stderr: a binary installs a hook that stays silent while [`panic_is_contained`] says so.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::format::{FormatError, Result};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside a call whose panic becomes an error: a panic hook should then print nothing.
pub fn panic_is_contained() -> bool {
    DEPTH.with(Cell::get) > 0
}

/// Leaves the contained state on every way out.
struct Guard;

impl Guard {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get().saturating_add(1)));
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

/// Runs `call`; a panic in it is the error `forward.decoder-panic` at `offset`. The caller throws away whatever `call`
/// may have left half done.
pub fn contain<T>(offset: u64, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let guard = Guard::enter();
    let outcome = catch_unwind(AssertUnwindSafe(call));
    drop(guard);
    outcome.unwrap_or_else(|payload| {
        let detail = format!("the decoder gave up on damaged data: {}", message(payload.as_ref()));
        Err(FormatError::malformed("forward.decoder-panic", offset, detail))
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_known_to_a_hook_while_it_happens() {
        assert!(!panic_is_contained());
        let error = contain(7, || -> Result<()> {
            assert!(panic_is_contained());
            panic!("index {}", 3)
        });
        let error = error.unwrap_err();
        assert_eq!((error.code, error.offset), ("forward.decoder-panic", 7));
        assert!(error.detail.ends_with("index 3"), "{}", error.detail);
        assert!(!panic_is_contained());
        assert_eq!(contain(0, || contain(0, || Ok(5))).unwrap(), 5);
        assert!(!panic_is_contained());
    }
}
