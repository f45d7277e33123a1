//! The guest's global allocator: the ordinary one until `configure` has returned, but for small blocks; then a bump region.
//!
//! The host snapshots the memory that `configure` leaves and starts every call from that snapshot, in a fresh instance that is thrown
//! away afterwards. Freeing memory during a call is therefore wasted work, and the free list that `configure` leaves behind scatters the
//! call's small allocations over many pages, each of which costs a page fault and a reset. Handing out one contiguous, still untouched
//! region in order made a renderer with 200 templates a third faster.
//!
//! What a call writes outside the region are a few words of what `configure` made. [`Small`] keeps those together.
//!
//! A host that does not snapshot works too: the region runs out and the ordinary allocator takes over.
//!
//! This module and `small` are the one place in the SDK with `unsafe` of its own: `GlobalAlloc` is an unsafe trait and cannot be
//! implemented without. It upholds the trait's contract as follows: blocks from the region never overlap, because `next` only moves past a
//! block when it is handed out and only moves back over the newest one; alignment is applied to `next` before use; bounds are checked with
//! arithmetic that cannot wrap; everything outside the region goes to `small` or `System`, by the layout alone, so that a block goes back
//! to where it came from. wasm32-unknown-unknown has no threads, and the state is atomic so that the type is `Sync` without a further
//! promise.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait; the module documentation says why the contract holds")]

mod small;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use small::Small;

/// Octets of the region. A call that renders 8 KiB needs about 100 KiB; untouched pages cost nothing.
const REGION: usize = 2 << 20;

/// WebAssembly pages have 64 KiB, the host's have 4 KiB: the region starts on one of the host's.
const PAGE: usize = 4096;

/// `System` and small blocks before [`Bump::seal`], a bump region after it.
pub(crate) struct Bump {
    /// First octet not handed out yet; 0 before `seal`.
    next: AtomicUsize,
    /// Where the region starts.
    start: AtomicUsize,
    /// Where it ends.
    end: AtomicUsize,
    /// Small blocks before `seal`.
    small: Small,
}

impl Bump {
    /// An allocator without a region.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { next: AtomicUsize::new(0), start: AtomicUsize::new(0), end: AtomicUsize::new(0), small: Small::new() }
    }

    /// Sets the region aside; from now on allocations come from it until it is used up. The first call counts.
    pub(crate) fn seal(&self) {
        if self.start.load(Relaxed) != 0 {
            return;
        }
        let Ok(layout) = Layout::from_size_align(REGION, PAGE) else { return };
        // SAFETY: the layout's size is not zero.
        let region = unsafe { System.alloc(layout) };
        if !region.is_null() {
            self.start.store(region.addr(), Relaxed);
            self.end.store(region.addr() + REGION, Relaxed);
            self.next.store(region.addr(), Relaxed);
        }
    }

    fn holds(&self, block: *mut u8) -> bool {
        (self.start.load(Relaxed)..self.end.load(Relaxed)).contains(&block.addr())
    }

    fn bump(&self, layout: Layout) -> Option<*mut u8> {
        let block = self.next.load(Relaxed).checked_next_multiple_of(layout.align())?;
        let after = block.checked_add(layout.size())?;
        if block == 0 || after > self.end.load(Relaxed) {
            return None;
        }
        self.next.store(after, Relaxed);
        // The region was given out by `System` with its provenance exposed by the address arithmetic above.
        Some(std::ptr::with_exposed_provenance_mut(block))
    }

    /// Whether the block of `size` octets is the one handed out last.
    fn newest(&self, block: *mut u8, size: usize) -> bool {
        block.addr() + size == self.next.load(Relaxed)
    }
}

// SAFETY: see the module documentation.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that `System` asks for.
        self.bump(layout).or_else(|| self.small.alloc(layout)).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.holds(block) {
            // Giving the newest block back keeps temporary strings on the same, already touched page.
            if self.newest(block, layout.size()) {
                self.next.store(block.addr(), Relaxed);
            }
        } else if self.start.load(Relaxed) == 0 {
            // SAFETY: the block is not the region's, so it came with this layout from `small` or else from `System`.
            unsafe {
                if !self.small.dealloc(block, layout) {
                    System.dealloc(block, layout);
                }
            }
        }
        // Once sealed, a block from outside the region stays: freeing it would write to pages that the snapshot shares.
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.holds(block) && self.newest(block, layout.size()) && block.addr().saturating_add(new_size) <= self.end.load(Relaxed) {
            self.next.store(block.addr() + new_size, Relaxed);
            return block;
        }
        let Ok(grown) = Layout::from_size_align(new_size, layout.align()) else { return std::ptr::null_mut() };
        if self.start.load(Relaxed) == 0 && !self.small.has(layout) && !self.small.has(grown) {
            // SAFETY: without a region every block that is not small is `System`'s, and the caller's promise is the one it asks for.
            return unsafe { System.realloc(block, layout, new_size) };
        }
        // SAFETY: `new_size` is not zero by the caller's promise.
        let fresh = unsafe { self.alloc(grown) };
        if !fresh.is_null() {
            // SAFETY: both blocks are valid for that many octets, and `fresh` was not in use: they do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(block, fresh, layout.size().min(new_size)) };
            // SAFETY: nobody knows the old block any more.
            unsafe { self.dealloc(block, layout) };
        }
        fresh
    }
}

#[cfg(test)]
#[allow(clippy::undocumented_unsafe_blocks, reason = "the tests call the allocator as collections do")]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn before_seal_blocks_keep_their_content_while_they_become_large_and_small_again() {
        let bump = Bump::new();
        let mut block = unsafe { bump.alloc(layout(4, 1)) };
        unsafe { block.copy_from(b"abcd".as_ptr(), 4) };
        for (size, new_size) in [(4, 20), (20, 300), (300, 1000), (1000, 40)] {
            block = unsafe { bump.realloc(block, layout(size, 1), new_size) };
            assert!(!bump.holds(block));
            assert_eq!(unsafe { std::slice::from_raw_parts(block, 4) }, b"abcd");
        }
        unsafe { bump.dealloc(block, layout(40, 1)) };
    }

    #[test]
    fn blocks_of_before_seal_stay_as_they_are_and_move_into_the_region_when_they_grow() {
        let bump = Bump::new();
        let block = unsafe { bump.alloc(layout(16, 8)) };
        unsafe { block.write_bytes(7, 16) };
        bump.seal();
        let grown = unsafe { bump.realloc(block, layout(16, 8), 32) };
        assert!(bump.holds(grown));
        assert_eq!(unsafe { std::slice::from_raw_parts(block, 16) }, [7; 16]);
    }

    #[test]
    fn sealed_blocks_are_contiguous_aligned_and_do_not_overlap() {
        let bump = Bump::new();
        bump.seal();
        let mut last = 0;
        for (size, align) in [(1, 1), (3, 4), (100, 16), (5, 1), (64, 64), (7, 8)] {
            let block = unsafe { bump.alloc(layout(size, align)) };
            assert!(bump.holds(block));
            assert_eq!(block.addr() % align, 0);
            assert!(block.addr() >= last);
            last = block.addr() + size;
        }
    }

    #[test]
    fn the_newest_block_grows_in_place_and_is_given_back() {
        let bump = Bump::new();
        bump.seal();
        let block = unsafe { bump.alloc(layout(10, 1)) };
        assert_eq!(unsafe { bump.realloc(block, layout(10, 1), 1000) }, block);
        unsafe { bump.dealloc(block, layout(1000, 1)) };
        assert_eq!(unsafe { bump.alloc(layout(10, 1)) }, block);
    }

    #[test]
    fn a_block_below_another_moves_when_it_grows_and_keeps_its_content() {
        let bump = Bump::new();
        bump.seal();
        let lower = unsafe { bump.alloc(layout(4, 1)) };
        unsafe { lower.copy_from(b"abcd".as_ptr(), 4) };
        let upper = unsafe { bump.alloc(layout(4, 1)) };
        let grown = unsafe { bump.realloc(lower, layout(4, 1), 8) };
        assert!(grown.addr() >= upper.addr() + 4);
        assert_eq!(unsafe { std::slice::from_raw_parts(grown, 4) }, b"abcd");
    }

    #[test]
    fn when_the_region_is_used_up_the_ordinary_allocator_takes_over() {
        let bump = Bump::new();
        bump.seal();
        let inside = unsafe { bump.alloc(layout(REGION - 10, 1)) };
        let outside = unsafe { bump.alloc(layout(100, 1)) };
        assert!(bump.holds(inside) && !outside.is_null() && !bump.holds(outside));
    }
}
