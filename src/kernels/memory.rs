//! Memory for activations and packed weights: aligned to cache lines, and used again instead of asked for anew.
//!
//! A fresh allocation of megabytes costs page faults that can take longer than the arithmetic on it. Invariant: a
//! buffer's values are always initialised (to zero when it is made, to whatever was there when it is used again).

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Values in a cache line.
const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// f32 values that start at a cache line.
#[derive(Default)]
pub struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }

    /// A copy of these values.
    pub fn from_slice(values: &[f32]) -> Self {
        let mut aligned = Self::zeros(values.len());
        aligned.copy_from_slice(values);
        aligned
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen f32 without padding (64 bytes, alignment 64), `len` values fit into the lines, all
        // of them are initialised, and the borrow is that of the lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Buffers that wait to be used again; one a model, shared by its calls.
#[derive(Clone, Default)]
pub struct Arena {
    free: Arc<Mutex<Vec<Aligned>>>,
}

impl Arena {
    /// A buffer of `len` values that hold anything. It comes back to the arena when it is dropped.
    pub fn take(&self, len: usize) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = len.div_ceil(LINE);
        // The smallest that is large enough, but not one so large that a bigger wish will miss it.
        let fit = |aligned: &Aligned| aligned.lines.len() >= lines && aligned.lines.len() <= 2 * lines + 1024;
        let best = (0..free.len()).filter(|&i| fit(&free[i])).min_by_key(|&i| free[i].lines.len());
        let mut aligned = match best {
            Some(index) => free.swap_remove(index),
            None => Aligned { lines: vec![Line([0.0; LINE]); lines], len: 0 },
        };
        aligned.len = len;
        Buffer { aligned, home: self.free.clone() }
    }

    /// Gives the waiting buffers back to the system.
    pub fn clear(&self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A buffer on loan from an [`Arena`].
pub struct Buffer {
    aligned: Aligned,
    home: Arc<Mutex<Vec<Aligned>>>,
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.aligned
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.aligned
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.aligned));
    }
}

/// Asks the caches for values that will be read soon, where the machine has a way to ask.
#[inline(always)]
pub(super) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86-64, and a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// The values of a block with these sides.
///
/// # Panics
/// If no memory could hold them. A plain product would wrap around and let a short slice pass for a huge one.
#[track_caller]
pub(super) fn volume<const N: usize>(sides: [usize; N]) -> usize {
    let volume = sides.into_iter().try_fold(1, usize::checked_mul);
    volume.unwrap_or_else(|| panic!("{sides:?} are more values than any memory holds"))
}

/// A slice that several tasks write at once, each its own part.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrow: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is only a pointer; who writes through it promises that no two tasks touch the same value.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrow: std::marker::PhantomData }
    }

    /// Where value `index` lies.
    #[inline(always)]
    pub(super) fn at(self, index: usize) -> *mut f32 {
        debug_assert!(index <= self.len);
        // Not dereferenced here, so no promise is needed yet; callers stay within `len`.
        self.start.wrapping_add(index)
    }

    /// The values of one task.
    ///
    /// # Safety
    /// No other task may touch them meanwhile.
    #[inline(always)]
    pub(super) unsafe fn part(self, start: usize, len: usize) -> &'a mut [f32] {
        assert!(start <= self.len && len <= self.len - start);
        // SAFETY: within the slice; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back() {
        let arena = Arena::default();
        let first = arena.take(1000);
        let address = first.as_ptr() as usize;
        assert_eq!((address % 64, first.len()), (0, 1000));
        let second = arena.take(1000);
        assert_ne!(second.as_ptr() as usize, address);
        drop(first);
        let again = arena.take(990);
        assert_eq!((again.as_ptr() as usize, again.len()), (address, 990));
        assert_eq!(&*Aligned::from_slice(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(arena.take(0).len(), 0);
    }
}
