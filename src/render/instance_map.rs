//! Which instance is on top of each pixel: what changed since the last frame, and the pixels of the changed places.
//!
//! An id is a slot of the palette and stays with its instance while it lives, so a new colour or a selection touches
//! the palette alone. A slot is free again once the map no longer shows it.
//!
//! Invariant: outside the rectangles named by [`Stack::update`] the map is as it was, so only they are drawn again.

use super::canvas::CanvasInstance;
use super::mipmaps::level_size;
use crate::geometry::PixelRect;
use crate::raster::Mask;
use std::collections::{HashMap, VecDeque};

/// Most instances that can be shown at once: 16-bit ids, 0 means none.
pub const MAX_INSTANCES: usize = u16::MAX as usize;

/// A mask and its id, from the bottom of the stack to the top.
pub type Layers = Vec<(u16, Mask)>;

/// Pixels of the map to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPatch {
    /// In texels of the map.
    pub rect: PixelRect,
    /// Row-major ids.
    pub ids: Vec<u16>,
}

/// One redraw of the map.
#[derive(Debug, Clone, Default)]
pub struct Redraw {
    /// Places that changed, in picture pixels.
    pub dirty: Vec<PixelRect>,
    /// All visible masks.
    pub layers: Layers,
}

impl Redraw {
    /// This redraw and the next in one: the newest masks at the places of both.
    pub fn followed_by(mut self, next: Self) -> Self {
        self.dirty.extend(next.dirty);
        Self { dirty: self.dirty, layers: next.layers }
    }
}

struct Shown {
    key: u64,
    id: u16,
    mask: Mask,
    bounds: Option<PixelRect>,
    hidden: bool,
}

/// The stack of instances as it was last asked for.
#[derive(Default)]
pub struct Stack {
    shown: Vec<Shown>,
    free: VecDeque<u16>,
    /// Ids never used so far start here (less one).
    used: u16,
    /// Ids taken away, waiting until the map has forgotten them: (number of the redraw, id).
    leaving: VecDeque<(u64, u16)>,
    redraws: u64,
}

impl Stack {
    /// Takes in the newest stack; returns what must be redrawn and the number of that redraw, `None` if nothing.
    pub fn update(&mut self, instances: &[CanvasInstance<'_>]) -> Option<(u64, Redraw)> {
        let instances = &instances[..instances.len().min(MAX_INSTANCES)];
        let same = self.shown.len() == instances.len()
            && self
                .shown
                .iter()
                .zip(instances)
                .all(|(old, new)| old.key == new.key && old.hidden == new.hidden && is_same(&old.mask, new.mask));
        if same {
            return None;
        }
        let mut old: HashMap<u64, (usize, Shown)> =
            std::mem::take(&mut self.shown).into_iter().enumerate().map(|(i, s)| (s.key, (i, s))).collect();
        let mut dirty = Vec::new();
        let mut highest = 0;
        for new in instances {
            match old.remove(&new.key) {
                Some((place, mut kept)) => {
                    // Whoever has moved down in the stack is found when a lower one comes after a higher one.
                    let reordered = place < highest;
                    highest = highest.max(place);
                    let same_mask = is_same(&kept.mask, new.mask);
                    if reordered || kept.hidden != new.hidden || !same_mask {
                        dirty.extend(kept.bounds);
                    }
                    if !same_mask {
                        kept.mask = new.mask.clone();
                        kept.bounds = new.mask.bounds();
                        dirty.extend(kept.bounds);
                    }
                    kept.hidden = new.hidden;
                    self.shown.push(kept);
                }
                None => {
                    let Some(id) = self.next_id() else { continue };
                    let bounds = new.mask.bounds();
                    dirty.extend(bounds.filter(|_| !new.hidden));
                    self.shown.push(Shown { key: new.key, id, mask: new.mask.clone(), bounds, hidden: new.hidden });
                }
            }
        }
        self.redraws += 1;
        for (_, gone) in old.into_values() {
            dirty.extend(gone.bounds.filter(|_| !gone.hidden));
            self.leaving.push_back((self.redraws, gone.id));
        }
        let layers = self.shown.iter().filter(|s| !s.hidden).map(|s| (s.id, s.mask.clone())).collect();
        Some((self.redraws, Redraw { dirty, layers }))
    }

    /// The map now shows this redraw: ids that left before it may be given again.
    pub fn drawn(&mut self, redraw: u64) {
        while let Some(&(_, id)) = self.leaving.front().filter(|(when, _)| *when <= redraw) {
            self.leaving.pop_front();
            self.free.push_back(id);
        }
    }

    /// Ids in the order of the stack that [`Stack::update`] was last given.
    pub fn ids(&self) -> impl Iterator<Item = (u64, u16)> {
        self.shown.iter().map(|s| (s.key, s.id))
    }

    fn next_id(&mut self) -> Option<u16> {
        self.free.pop_front().or_else(|| {
            self.used = self.used.checked_add(1)?;
            Some(self.used)
        })
    }
}

/// Masks share their runs when they are clones; the old one is held, so its address cannot be used again.
fn is_same(a: &Mask, b: &Mask) -> bool {
    std::ptr::eq(a.runs(), b.runs()) && a.width() == b.width() && a.height() == b.height()
}

/// Size of the map of a picture halved this often, as the picture's own texture.
pub fn map_size(width: u32, height: u32, halvings: u32) -> (u32, u32) {
    level_size(width, height, halvings)
}

/// Draws the changed places. Slow for large masks: not for the UI thread.
///
/// A texel of a coarser map shows the picture pixel at its middle.
pub fn redraw(picture: (u32, u32), halvings: u32, redraw: &Redraw) -> Vec<IdPatch> {
    let map = map_size(picture.0, picture.1, halvings);
    let (columns, rows) = (Axis::new(picture.0, map.0), Axis::new(picture.1, map.1));
    merged(&redraw.dirty, picture)
        .into_iter()
        .filter_map(|dirty| {
            let (x0, x1) = columns.targets(dirty.x, dirty.right());
            let (y0, y1) = rows.targets(dirty.y, dirty.bottom());
            (x1 > x0 && y1 > y0).then(|| {
                let rect = PixelRect { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
                IdPatch { rect, ids: draw(rect, &columns, &rows, picture, &redraw.layers) }
            })
        })
        .collect()
}

/// The places without repetition; one rectangle around all where they would cost more than it.
fn merged(dirty: &[PixelRect], picture: (u32, u32)) -> Vec<PixelRect> {
    let mut rects: Vec<PixelRect> = Vec::new();
    for rect in dirty.iter().filter_map(|r| clipped(*r, picture)) {
        if !rects.contains(&rect) {
            rects.push(rect);
        }
    }
    let area = |r: &PixelRect| u64::from(r.width) * u64::from(r.height);
    let Some(around) = rects.iter().copied().reduce(union) else { return rects };
    if rects.len() > 64 || rects.iter().map(area).sum::<u64>() >= area(&around) { vec![around] } else { rects }
}

fn clipped(rect: PixelRect, (width, height): (u32, u32)) -> Option<PixelRect> {
    let (right, bottom) = (rect.right().min(width), rect.bottom().min(height));
    (right > rect.x && bottom > rect.y).then(|| PixelRect {
        x: rect.x,
        y: rect.y,
        width: right - rect.x,
        height: bottom - rect.y,
    })
}

fn union(a: PixelRect, b: PixelRect) -> PixelRect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    PixelRect { x, y, width: a.right().max(b.right()) - x, height: a.bottom().max(b.bottom()) - y }
}

/// How picture pixels of one axis fall on the map.
struct Axis {
    /// `before[p]`: number of texels whose middle lies before picture pixel `p`.
    before: Vec<u32>,
}

impl Axis {
    fn new(picture: u32, map: u32) -> Self {
        let mut before = vec![0u32; picture as usize + 1];
        for texel in 0..u64::from(map) {
            let pixel = (2 * texel + 1) * u64::from(picture) / (2 * u64::from(map));
            before[pixel as usize + 1] += 1;
        }
        for p in 0..picture as usize {
            before[p + 1] += before[p];
        }
        Self { before }
    }

    /// Texels that show one of the picture pixels `from..to`.
    fn targets(&self, from: u32, to: u32) -> (u32, u32) {
        (self.before[from as usize], self.before[to as usize])
    }
}

fn draw(rect: PixelRect, columns: &Axis, rows: &Axis, picture: (u32, u32), layers: &Layers) -> Vec<u16> {
    let (width, height) = (rect.width as usize, rect.height as usize);
    // Column by column, as the runs go, so that each segment is one fill; laid out in rows at the end.
    let mut standing = vec![0u16; width * height];
    for (id, mask) in layers.iter().filter(|(_, m)| (m.width(), m.height()) == picture) {
        mask.for_each_inside_segment(|x, y0, y1| {
            let (x0, x1) = columns.targets(x, x + 1);
            let (y0, y1) = rows.targets(y0, y1);
            let (y0, y1) = (y0.max(rect.y), y1.min(rect.bottom()));
            if y1 > y0 {
                for x in x0.max(rect.x)..x1.min(rect.right()) {
                    let column = (x - rect.x) as usize * height;
                    standing[column + (y0 - rect.y) as usize..column + (y1 - rect.y) as usize].fill(*id);
                }
            }
        });
    }
    const BLOCK: usize = 32;
    let mut lying = vec![0u16; width * height];
    for y0 in (0..height).step_by(BLOCK) {
        for x0 in (0..width).step_by(BLOCK) {
            for y in y0..(y0 + BLOCK).min(height) {
                for x in x0..(x0 + BLOCK).min(width) {
                    lying[y * width + x] = standing[x * height + y];
                }
            }
        }
    }
    lying
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Bitmap;

    const SIZE: (u32, u32) = (40, 30);

    fn rectangle(x: u32, y: u32, width: u32, height: u32) -> Mask {
        Mask::from_bitmap(&Bitmap::from_fn(SIZE.0, SIZE.1, |px, py| {
            (x..x + width).contains(&px) && (y..y + height).contains(&py)
        }))
    }

    fn instance(key: u64, mask: &Mask) -> CanvasInstance<'_> {
        CanvasInstance { key, mask, color: [1, 2, 3], hidden: false, selected: false }
    }

    /// A map kept up to date by patches only.
    #[derive(Default)]
    struct Map {
        stack: Stack,
        ids: Vec<u16>,
        patched: usize,
    }

    impl Map {
        fn show(&mut self, instances: &[CanvasInstance<'_>]) {
            self.ids.resize((SIZE.0 * SIZE.1) as usize, 0);
            self.patched = 0;
            if let Some((number, work)) = self.stack.update(instances) {
                for patch in redraw(SIZE, 0, &work) {
                    self.patched += patch.ids.len();
                    for (row, ids) in (patch.rect.y..).zip(patch.ids.chunks_exact(patch.rect.width as usize)) {
                        let start = (row * SIZE.0 + patch.rect.x) as usize;
                        self.ids[start..start + ids.len()].copy_from_slice(ids);
                    }
                }
                self.stack.drawn(number);
            }
        }

        /// Key on top of a pixel, from the map and from the masks: they must agree everywhere.
        fn check(&self, instances: &[CanvasInstance<'_>]) {
            let keys: HashMap<u16, u64> = self.stack.ids().map(|(key, id)| (id, key)).collect();
            for y in 0..SIZE.1 {
                for x in 0..SIZE.0 {
                    let want = instances.iter().rev().find(|i| !i.hidden && i.mask.contains(x, y)).map(|i| i.key);
                    let got = keys.get(&self.ids[(y * SIZE.0 + x) as usize]).copied();
                    assert_eq!(got, want, "pixel {x},{y}");
                }
            }
        }
    }

    #[test]
    fn patches_alone_keep_the_map_right_through_every_change() {
        let (a, b, c) = (rectangle(2, 2, 20, 20), rectangle(10, 8, 20, 20), rectangle(30, 1, 5, 5));
        let mut map = Map::default();
        let all = [instance(7, &a), instance(8, &b), instance(9, &c)];
        map.show(&all);
        map.check(&all);
        // Hidden: what lies below shows through.
        let hidden = [all[0], CanvasInstance { hidden: true, ..all[1] }, all[2]];
        map.show(&hidden);
        map.check(&hidden);
        map.show(&all);
        let swapped = [all[1], all[0], all[2]];
        map.show(&swapped);
        map.check(&swapped);
        let without = [all[1], all[2]];
        map.show(&without);
        map.check(&without);
        let smaller = rectangle(12, 10, 3, 3);
        let changed = [instance(8, &smaller), all[2], instance(11, &a)];
        map.show(&changed);
        map.check(&changed);
        map.show(&[]);
        map.check(&[]);
    }

    #[test]
    fn a_small_change_redraws_little_and_a_new_look_redraws_nothing() {
        let (a, c) = (rectangle(2, 2, 20, 20), rectangle(30, 1, 5, 5));
        let mut map = Map::default();
        map.show(&[instance(7, &a)]);
        map.show(&[instance(7, &a), instance(9, &c)]);
        assert_eq!(map.patched, 25);
        map.show(&[CanvasInstance { selected: true, color: [9, 9, 9], ..instance(7, &a) }, instance(9, &c)]);
        assert_eq!(map.patched, 0);
    }

    #[test]
    fn an_id_is_not_given_again_before_the_map_has_forgotten_it() {
        let a = rectangle(2, 2, 4, 4);
        let mut stack = Stack::default();
        stack.update(&[instance(1, &a)]);
        let (gone, _) = stack.update(&[]).expect("a change");
        stack.update(&[instance(2, &a)]);
        assert_eq!(stack.ids().collect::<Vec<_>>(), [(2, 2)]);
        stack.drawn(gone);
        stack.update(&[instance(2, &a), instance(3, &a)]);
        assert_eq!(stack.ids().collect::<Vec<_>>(), [(2, 2), (3, 1)]);
    }

    #[test]
    fn a_coarser_map_shows_the_pixel_in_the_middle_of_each_texel() {
        let mask = rectangle(3, 0, 11, 30);
        let layers = vec![(5, mask.clone())];
        let patches = redraw(SIZE, 2, &Redraw { dirty: vec![PixelRect::of_size(40, 30)], layers });
        let [patch] = patches.as_slice() else { panic!("one place") };
        assert_eq!(patch.rect, PixelRect::of_size(10, 7));
        for (i, &id) in patch.ids.iter().enumerate() {
            let (x, y) = (i as u32 % 10, i as u32 / 10);
            let inside = mask.contains((2 * x + 1) * 40 / 20, (2 * y + 1) * 30 / 14);
            assert_eq!(id == 5, inside, "texel {x},{y}");
        }
    }
}
