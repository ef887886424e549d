//! Memory for what is small: a request takes and gives back a few dozen pieces, most of them below a hundred bytes.
//!
//! A piece that is given back waits in a list of its size for the next who wants one, which takes a few instructions where
//! a general allocator takes a hundred. The lists are filled from a general allocator, which also has all that
//! is larger. What was small once stays small: the lists hold what was in use at the same time at most, size by size.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;

use dlmalloc::GlobalDlmalloc as System;

/// The sizes are multiples of this, which is also the largest alignment of what is small.
const STEP: usize = 16;

/// How many sizes there are.
const SIZES: usize = 16;

/// A piece that waits.
struct Free {
    next: *mut Free,
}

/// The lists, by size.
struct Pool([Cell<*mut Free>; SIZES]);

// SAFETY: a module for proxies has one thread; the target has no others.
unsafe impl Sync for Pool {}

#[global_allocator]
static POOL: Pool = Pool([const { Cell::new(null_mut()) }; SIZES]);

impl Pool {
    /// The list for a layout; `None` for what is not small.
    fn list(&self, layout: Layout) -> Option<&Cell<*mut Free>> {
        match layout.align() <= STEP {
            true => self.0.get(layout.size().wrapping_sub(1) / STEP),
            false => None,
        }
    }
}

/// What a piece of a list is asked for as, so that all of them are alike.
const fn rounded(size: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and a small size does not overflow when it is rounded up.
    unsafe { Layout::from_size_align_unchecked(size.next_multiple_of(STEP), STEP) }
}

// SAFETY: a piece comes from `System` with a layout at least as large and as strictly aligned as was asked for, is in a list
// or in use and never both, and goes back to `System`, if at all, with the layout that it came with.
unsafe impl GlobalAlloc for Pool {
    // Not into each of its thousands of callers: the proxy compiles all code of the module.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = self.list(layout) else {
            // SAFETY: the caller's promise about the layout.
            return unsafe { System.alloc(layout) };
        };
        let piece = list.get();
        if piece.is_null() {
            // SAFETY: the size is not 0, as the caller promises.
            return unsafe { System.alloc(rounded(layout.size())) };
        }
        // SAFETY: what is in a list is a piece that nobody uses, with a `Free` in it.
        list.set(unsafe { (*piece).next });
        piece.cast()
    }

    #[inline(never)]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let Some(list) = self.list(layout) else {
            // SAFETY: it came from `System` with this layout.
            return unsafe { System.dealloc(memory, layout) };
        };
        let piece: *mut Free = memory.cast();
        // SAFETY: the caller gives the piece up, it is aligned to `STEP` and has at least as many bytes.
        unsafe { (*piece).next = list.get() };
        list.set(piece);
    }

    #[inline(never)]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (self.list(layout), self.list(wanted)) {
            (Some(old), Some(new)) if core::ptr::eq(old, new) => memory,
            // SAFETY: it came from `System` with this layout.
            (None, None) => unsafe { System.realloc(memory, layout, size) },
            _ => {
                // SAFETY: the caller's promises about the layout and the memory; both pieces have so many bytes.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(memory, layout.size().min(size));
                        self.dealloc(memory, layout);
                    }
                    moved
                }
            }
        }
    }
}
