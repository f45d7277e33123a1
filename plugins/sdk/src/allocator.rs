//! The guest's global allocator: the ordinary one until `configure` has returned, then a bump region.
//!
//! The host snapshots the memory that `configure` leaves and starts every call from that snapshot, in a fresh instance that is thrown
//! away afterwards. Freeing memory during a call is therefore wasted work, and the free list that `configure` leaves behind scatters the
//! call's small allocations over many pages, each of which costs a page fault and a reset. Handing out one contiguous, still untouched
//! region in order made a renderer with 200 templates a third faster.
//!
//! A host that does not snapshot works too: the region runs out and the ordinary allocator takes over.
//!
//! This module is the one place in the SDK with `unsafe` of its own: `GlobalAlloc` is an unsafe trait and cannot be implemented
//! without. It upholds the trait's contract as follows: blocks from the region never overlap, because `next` only moves past a block
//! when it is handed out and only moves back over the newest one; alignment is applied to `next` before use; bounds are checked with
//! arithmetic that cannot wrap; everything outside the region goes to `System`. wasm32-unknown-unknown has no threads, and the state is
//! atomic so that the type is `Sync` without a further promise.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait; the module documentation says why the contract holds")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Octets of the region. A call that renders 8 KiB needs about 100 KiB; untouched pages cost nothing.
const REGION: usize = 2 << 20;

/// WebAssembly pages have 64 KiB, the host's have 4 KiB: the region starts on one of the host's.
const PAGE: usize = 4096;

/// `System` before [`Bump::seal`], a bump region after it.
pub(crate) struct Bump {
    /// Where the region will start; 0 before `reserve` and after `seal`.
    reserved: AtomicUsize,
    /// First octet not handed out yet; 0 before `seal`.
    next: AtomicUsize,
    /// Where the region starts.
    start: AtomicUsize,
    /// Where it ends.
    end: AtomicUsize,
}

impl Bump {
    /// An allocator without a region.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { reserved: AtomicUsize::new(0), next: AtomicUsize::new(0), start: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    /// Sets the region aside, below everything that `configure` is going to allocate. The host puts back what a call has written from the
    /// lowest address on, and drops the rest where that is in too many pieces: the templates that a call looked at may be dropped, the
    /// region, which every call writes, must not be. With 200 templates in use that saves about a quarter of a call.
    pub(crate) fn reserve(&self) {
        if self.start.load(Relaxed) != 0 || self.reserved.load(Relaxed) != 0 {
            return;
        }
        let Ok(layout) = Layout::from_size_align(REGION, PAGE) else { return };
        // SAFETY: the layout's size is not zero.
        let region = unsafe { System.alloc(layout) };
        self.reserved.store(region.addr(), Relaxed);
    }

    /// From now on allocations come from the region until it is used up. The first call counts.
    pub(crate) fn seal(&self) {
        self.reserve();
        let region = self.reserved.swap(0, Relaxed);
        if region != 0 {
            self.start.store(region, Relaxed);
            self.end.store(region + REGION, Relaxed);
            self.next.store(region, Relaxed);
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
        self.bump(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.holds(block) {
            // Giving the newest block back keeps temporary strings on the same, already touched page.
            if self.newest(block, layout.size()) {
                self.next.store(block.addr(), Relaxed);
            }
        } else if self.start.load(Relaxed) == 0 {
            // SAFETY: the block is not ours, so it came from `System` with this layout.
            unsafe { System.dealloc(block, layout) }
        }
        // Once sealed, a block of `System`'s stays: freeing it would write to pages that the snapshot shares.
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.holds(block) && self.newest(block, layout.size()) && block.addr().saturating_add(new_size) <= self.end.load(Relaxed) {
            self.next.store(block.addr() + new_size, Relaxed);
            return block;
        }
        if self.start.load(Relaxed) == 0 {
            // SAFETY: without a region every block is `System`'s, and the caller's promise is the one it asks for.
            return unsafe { System.realloc(block, layout, new_size) };
        }
        let Ok(grown) = Layout::from_size_align(new_size, layout.align()) else { return std::ptr::null_mut() };
        // SAFETY: `new_size` is not zero by the caller's promise.
        let fresh = unsafe { self.alloc(grown) };
        if !fresh.is_null() {
            // SAFETY: both blocks are valid for that many octets, and `fresh` was not in use: they do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(block, fresh, layout.size().min(new_size)) };
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
    fn before_seal_the_ordinary_allocator_is_used() {
        let bump = Bump::new();
        let block = unsafe { bump.alloc(layout(100, 8)) };
        assert!(!bump.holds(block));
        let block = unsafe { bump.realloc(block, layout(100, 8), 300) };
        unsafe { bump.dealloc(block, layout(300, 8)) };
    }

    #[test]
    fn a_region_that_was_reserved_early_is_the_one_that_is_used() {
        let bump = Bump::new();
        bump.reserve();
        let reserved = bump.reserved.load(Relaxed);
        let before = unsafe { bump.alloc(layout(100, 8)) };
        assert!(!(reserved..reserved + REGION).contains(&before.addr()));
        bump.seal();
        bump.reserve();
        assert_eq!(unsafe { bump.alloc(layout(100, 8)) }.addr(), reserved);
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
