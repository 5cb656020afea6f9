//! The system's allocator, with somebody who is told what it gives and takes.

#![allow(unsafe_code, reason = "the interface of a global allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    marker::PhantomData,
};

/// A request of this size never is honest in these tests; the system might even grant it.
pub const ABSURD: usize = 4 << 30;

/// Who is told. Neither call may allocate.
pub trait Counter {
    /// So many bytes are about to be given.
    fn given(size: usize);
    /// So many bytes were taken back.
    fn taken(size: usize);
}

/// The allocator.
pub struct Watched<C>(PhantomData<C>);

impl<C> Watched<C> {
    /// An allocator that tells `C`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

// SAFETY: every request goes to the system's allocator as it is; a counter neither allocates nor sees an address.
unsafe impl<C: Counter> GlobalAlloc for Watched<C> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        C::given(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        C::given(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        C::given(size);
        C::taken(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        C::taken(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}
