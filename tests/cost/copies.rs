//! Counts the bytes that a thread copies, by taking the place of the C library's functions that do it: whatever copies a number of
//! bytes that is not known beforehand calls one of them.

#![allow(unsafe_code)] // these functions are unsafe by their nature

use std::arch::asm;
use std::cell::Cell;

thread_local! {
    static COPIED: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that this thread copies meanwhile.
pub(crate) fn measure(work: impl FnOnce()) -> u64 {
    let before = COPIED.get();
    work();
    COPIED.get() - before
}

fn note(bytes: usize) {
    // At the end of a thread there is nothing left to note it in.
    let _ = COPIED.try_with(|copied| copied.set(copied.get() + bytes as u64));
}

/// As in C.
///
/// # Safety
/// As in C: both places have `bytes` bytes, and they do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    note(bytes);
    // SAFETY: the caller's promise. In assembly, as a loop would be compiled to a call of this function.
    unsafe {
        asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    to
}

/// As in C.
///
/// # Safety
/// As in C: both places have `bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    note(bytes);
    // SAFETY: the caller's promise; backwards where a byte would be overwritten before it is copied.
    unsafe {
        if to.addr().wrapping_sub(from.addr()) >= bytes {
            asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
        } else {
            let (last_to, last_from) = (to.add(bytes).wrapping_sub(1), from.add(bytes).wrapping_sub(1));
            asm!("std", "rep movsb", "cld", inout("rcx") bytes => _, inout("rdi") last_to => _, inout("rsi") last_from => _,
                options(nostack));
        }
    }
    to
}
