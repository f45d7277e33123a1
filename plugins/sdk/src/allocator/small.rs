//! Small blocks, kept together while `configure` runs.
//!
//! What a call writes of the things that `configure` left are above all reference counts (of a template's constants, for example), and
//! those are in small blocks. Side by side they make a few pages in a row. Strewn between large blocks they make a stretch of memory for
//! every template in use, and of more than 32 stretches the host drops the rest instead of putting them back, so that every call
//! meets page faults.

use std::alloc::{GlobalAlloc as _, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::PAGE;

/// Largest small block: reference counts with a short text, a list or a map behind them.
const LARGEST: usize = 128;

/// Sizes are rounded up to a multiple of this, which is also the strictest alignment.
const STEP: usize = 16;

/// Octets that are taken from the system at once: one page of WebAssembly.
const SHELF: usize = 64 << 10;

/// Free blocks by size, and the shelf that new ones are cut from.
pub(super) struct Small {
    /// First free block of each size, which starts with the address of the next; 0 ends a list.
    free: [AtomicUsize; LARGEST / STEP],
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Small {
    pub(super) const fn new() -> Self {
        Self { free: [const { AtomicUsize::new(0) }; LARGEST / STEP], next: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    /// The list for such blocks; nothing when they are not small. The same layout is always answered the same, so that who frees a block
    /// need not ask where it came from.
    fn list(&self, layout: Layout) -> Option<&AtomicUsize> {
        if layout.align() > STEP {
            return None;
        }
        self.free.get(layout.size().div_ceil(STEP).checked_sub(1)?)
    }

    /// Whether blocks of this layout are small.
    pub(super) fn has(&self, layout: Layout) -> bool {
        self.list(layout).is_some()
    }

    /// A block; nothing when it is not a small one, null when there is no memory.
    pub(super) fn alloc(&self, layout: Layout) -> Option<*mut u8> {
        let list = self.list(layout)?;
        let block = list.load(Relaxed);
        if block == 0 {
            return Some(self.cut(layout.size().next_multiple_of(STEP)));
        }
        let block = std::ptr::with_exposed_provenance_mut::<usize>(block);
        // SAFETY: what is in a list is a free block of at least 16 octets, aligned to 16, that `dealloc` wrote the next address to.
        list.store(unsafe { block.read() }, Relaxed);
        Some(block.cast())
    }

    /// Takes a block back; whether it was a small one.
    ///
    /// # Safety
    ///
    /// The block must be one of this layout that the caller does not use any more; a small one must come from [`alloc`](Self::alloc).
    pub(super) unsafe fn dealloc(&self, block: *mut u8, layout: Layout) -> bool {
        let Some(list) = self.list(layout) else { return false };
        // SAFETY: the caller's promise, and small blocks have at least 16 octets, aligned to 16.
        unsafe { block.cast::<usize>().write(list.load(Relaxed)) };
        list.store(block.expose_provenance(), Relaxed);
        true
    }

    /// A block from the shelf. What is left of a shelf that is too short is given up.
    fn cut(&self, size: usize) -> *mut u8 {
        if self.end.load(Relaxed) - self.next.load(Relaxed) < size {
            let Ok(layout) = Layout::from_size_align(SHELF, PAGE) else { return std::ptr::null_mut() };
            // SAFETY: the layout's size is not zero.
            let shelf = unsafe { System.alloc(layout) };
            if shelf.is_null() {
                return shelf;
            }
            self.next.store(shelf.expose_provenance(), Relaxed);
            self.end.store(shelf.addr() + SHELF, Relaxed);
        }
        let block = self.next.load(Relaxed);
        self.next.store(block + size, Relaxed);
        std::ptr::with_exposed_provenance_mut(block)
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
    fn small_is_what_is_neither_large_nor_strictly_aligned() {
        let small = Small::new();
        for (size, align, expected) in [(1, 1, true), (16, 16, true), (LARGEST, 8, true), (LARGEST + 1, 1, false), (32, 32, false)] {
            assert_eq!(small.has(layout(size, align)), expected, "{size} {align}");
            assert_eq!(small.alloc(layout(size, align)).is_some(), expected, "{size} {align}");
        }
    }

    #[test]
    fn small_blocks_lie_side_by_side_whatever_is_allocated_between() {
        let small = Small::new();
        let mut next = small.alloc(layout(16, 8)).unwrap().addr() + 16;
        for size in [1, 24, 100, 128, 16] {
            let between = vec![0_u8; 5000];
            let block = small.alloc(layout(size, 8)).unwrap().addr();
            assert_eq!((block, block % STEP), (next, 0));
            next = block + size.next_multiple_of(STEP);
            drop(between);
        }
    }

    #[test]
    fn a_block_that_is_given_back_is_the_next_of_its_size() {
        let small = Small::new();
        let (first, second) = (small.alloc(layout(20, 4)).unwrap(), small.alloc(layout(20, 4)).unwrap());
        assert!(unsafe { small.dealloc(first, layout(20, 4)) && small.dealloc(second, layout(20, 4)) });
        assert!(![first, second].contains(&small.alloc(layout(40, 4)).unwrap()));
        assert_eq!([small.alloc(layout(32, 4)).unwrap(), small.alloc(layout(17, 1)).unwrap()], [second, first]);
    }

    #[test]
    fn blocks_do_not_overlap_when_a_shelf_is_full() {
        let small = Small::new();
        let mut blocks: Vec<usize> = (0..2 * SHELF / 112).map(|_| small.alloc(layout(100, 4)).unwrap().addr()).collect();
        blocks.sort_unstable();
        assert!(blocks.windows(2).all(|pair| pair[1] - pair[0] >= 112));
    }
}
