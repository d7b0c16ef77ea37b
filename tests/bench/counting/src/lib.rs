//! The system's allocator, counting what the calling thread asks of it. A program that names this crate gets it.
//! It is a crate of its own because `GlobalAlloc` is an unsafe trait and Stonechat forbids unsafe code in all its targets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    // Without a destructor and constant from the start: counting must not allocate.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread since it began; growing one counts as one.
pub fn allocations() -> u64 {
    COUNT.get()
}

/// Bytes this thread has asked for, freed since or not.
pub fn bytes() -> u64 {
    BYTES.get()
}

/// What an allocation takes beside its bytes, at most: its header, and rounding.
const OVERHEAD_BYTES: i64 = 16;

/// Memory this thread has taken and not given back.
pub fn live_bytes() -> i64 {
    LIVE.get()
}

fn live(bytes: i64) {
    LIVE.set(LIVE.get() + bytes);
}

fn count(bytes: usize) {
    COUNT.set(COUNT.get() + 1);
    BYTES.set(BYTES.get() + bytes as u64);
}

// SAFETY: every call is the system allocator's, with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        live(layout.size() as i64 + OVERHEAD_BYTES);
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        live(layout.size() as i64 + OVERHEAD_BYTES);
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        live(size as i64 - layout.size() as i64);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        live(-(layout.size() as i64 + OVERHEAD_BYTES));
        unsafe { System.dealloc(pointer, layout) }
    }
}
