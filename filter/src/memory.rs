//! What compilers expect of a C library, which is not there: copying is an instruction of WebAssembly, comparing is not.

#![expect(
    unsafe_code,
    reason = "a function that the compiler calls, with pointers to what it compares"
)]

use core::cmp::Ordering;
use core::slice;

use nexus_core::scan;

/// Below, at or above zero as the bytes at `one` are before, the same as, or behind those at `other`.
///
/// # Safety
/// Both are of `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, size: usize) -> i32 {
    // Where there is nothing to compare, a pointer may be one to nothing.
    if size == 0 {
        return 0;
    }
    // SAFETY: what the caller promises.
    let (one, other) = unsafe {
        (
            slice::from_raw_parts(one, size),
            slice::from_raw_parts(other, size),
        )
    };
    match scan::compare(one, other) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}
