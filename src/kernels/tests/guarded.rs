//! Slices at the very edge of readable memory: one value too far is a crash, not a wrong number that nobody sees.
//!
//! On 64-bit Linux the neighbouring page is mapped without any rights. Elsewhere, and under Miri, which sees such reads
//! itself, it is a vector of exactly that length.

use std::ops::{Deref, DerefMut};

/// Which end of the slice is the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// It ends where readable memory ends.
    End,
    /// It begins where readable memory begins.
    Start,
}

/// Values at an edge.
pub(super) struct Guarded(memory::Block);

impl Guarded {
    /// A copy of these values.
    pub(super) fn new(values: &[f32], edge: Edge) -> Self {
        Self(memory::Block::new(values, edge))
    }
}

impl Deref for Guarded {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.0.values()
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.0.values_mut()
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
mod memory {
    use super::Edge;
    use std::ffi::{c_int, c_void};

    /// A multiple of every page size in use.
    const PAGE: usize = 64 << 10;
    const NO_ACCESS: c_int = 0;
    const READ_AND_WRITE: c_int = 1 | 2;
    const PRIVATE_AND_ANONYMOUS: c_int = 0x02 | 0x20;

    // From the C library that the standard library links already; numbers as in Linux' `mman-common.h`.
    unsafe extern "C" {
        fn mmap(at: *mut c_void, len: usize, rights: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
        fn mprotect(at: *mut c_void, len: usize, rights: c_int) -> c_int;
        fn munmap(at: *mut c_void, len: usize) -> c_int;
    }

    /// Pages between two that may not be touched.
    pub(super) struct Block {
        map: *mut c_void,
        bytes: usize,
        start: *mut f32,
        len: usize,
    }

    impl Block {
        pub(super) fn new(values: &[f32], edge: Edge) -> Self {
            let inner = size_of_val(values).next_multiple_of(PAGE).max(PAGE);
            let bytes = inner + 2 * PAGE;
            // SAFETY: a new map anywhere; its middle is then opened; the values lie within the middle.
            unsafe {
                let map = mmap(std::ptr::null_mut(), bytes, NO_ACCESS, PRIVATE_AND_ANONYMOUS, -1, 0);
                assert!(!map.is_null() && map.addr() != usize::MAX, "no memory for {bytes} bytes");
                let middle = map.byte_add(PAGE);
                assert_eq!(mprotect(middle, inner, READ_AND_WRITE), 0);
                let start: *mut f32 = match edge {
                    Edge::Start => middle.cast(),
                    Edge::End => middle.byte_add(inner - size_of_val(values)).cast(),
                };
                start.copy_from_nonoverlapping(values.as_ptr(), values.len());
                Self { map, bytes, start, len: values.len() }
            }
        }

        pub(super) fn values(&self) -> &[f32] {
            // SAFETY: `len` values were written there, and the borrow is that of the block.
            unsafe { std::slice::from_raw_parts(self.start, self.len) }
        }

        pub(super) fn values_mut(&mut self) -> &mut [f32] {
            // SAFETY: as above; the borrow is exclusive.
            unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
        }
    }

    impl Drop for Block {
        fn drop(&mut self) {
            // SAFETY: the map that `new` made.
            unsafe { munmap(self.map, self.bytes) };
        }
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(miri))))]
mod memory {
    use super::Edge;

    pub(super) struct Block(Box<[f32]>);

    impl Block {
        pub(super) fn new(values: &[f32], _edge: Edge) -> Self {
            Self(values.into())
        }

        pub(super) fn values(&self) -> &[f32] {
            &self.0
        }

        pub(super) fn values_mut(&mut self) -> &mut [f32] {
            &mut self.0
        }
    }
}

#[test]
fn the_slice_touches_the_edge() {
    let values = [1.0, 2.0, 3.0];
    for edge in [Edge::Start, Edge::End] {
        let mut guarded = Guarded::new(&values, edge);
        guarded[2] = 4.0;
        assert_eq!(*guarded, [1.0, 2.0, 4.0]);
        assert!(Guarded::new(&[], edge).is_empty());
        #[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
        {
            let range = guarded.as_ptr_range();
            let at = if edge == Edge::Start { range.start } else { range.end };
            assert!(at.addr().is_multiple_of(64 << 10) || at.addr().is_multiple_of(4 << 10));
        }
    }
}
