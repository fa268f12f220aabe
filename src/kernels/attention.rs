//! Multi-head self-attention within groups of rows: `softmax(q k^T * scale + positions) v`, in tiles.
//!
//! Source of the order: Dao et al., "FlashAttention" (2022), with the softmax of [`softmax`]. Keys are transposed into
//! panels once a group and head; then a block of queries meets block after block of keys, and only the scores of one
//! such pair exist at a time (at most `QUERIES * KEYS` of them a thread). Invariant: a query's result depends on its
//! group alone, not on the number of threads.

mod groups;
mod softmax;
#[cfg(test)]
mod tests;

pub use groups::Groups;

#[cfg(target_arch = "x86_64")]
use super::bf16::{bf16_pair, round_row, round_row_in_place};
use super::isa::{Isa, Shape};
use super::math::Activation;
use super::memory::{Buffer, Shared, prefetch, volume};
use super::packed::{Packed, Panel, panels};
use super::product::{Rows, RowsMut};
use super::tile::{MAX_ROWS, Tile};
use super::{Aligned, Cpu};
use groups::Query;
use softmax::{Bias, Finish, MOST_LANES, Softmax};

/// Queries of a block, at most.
const QUERIES: usize = 96;
/// Keys of a block, at most: with [`QUERIES`] scores each they and their values fit into the second cache.
const KEYS: usize = 512;
/// Multiplications that are worth a task of their own.
const TASK: usize = 4 << 20;

/// Where queries, keys and values lie in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads.
    pub count: usize,
    /// Values of a head's query, key and value each.
    pub depth: usize,
    /// Where the first head's query starts.
    pub query: usize,
    /// Where the first head's key starts.
    pub key: usize,
    /// Where the first head's value starts.
    pub value: usize,
    /// From one head to the next.
    pub step: usize,
}

impl Heads {
    /// `[query | key | value][head][depth]`, as in SAM's ViT and where three layers write next to each other.
    pub fn parts_first(count: usize, depth: usize) -> Self {
        Self { count, depth, query: 0, key: count * depth, value: 2 * count * depth, step: depth }
    }

    /// `[head][query | key | value][depth]`, as in TinyViT.
    pub fn heads_first(count: usize, depth: usize) -> Self {
        Self { count, depth, query: 0, key: depth, value: 2 * depth, step: 3 * depth }
    }

    /// Values of a row that are looked at.
    fn columns(&self) -> usize {
        let last = self.query.max(self.key).max(self.value).saturating_add(self.depth);
        last.saturating_add(volume([self.count.saturating_sub(1), self.step]))
    }
}

/// What the places of query and key add to their score.
pub enum Positions {
    /// Nothing.
    None,
    /// A number for each head, query place and key place.
    Table(Table),
    /// Decomposed relative positions of a square window.
    Relative(Relative),
}

impl Positions {
    /// A table `[heads, places, places]`, query before key, added after the scale.
    pub fn table(heads: usize, places: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), volume([heads, places, places]));
        Self::Table(Table { places, values: Aligned::from_slice(values) })
    }

    /// SAM's: query `(qy, qx)` and key `(ky, kx)` of a window `side x side` add `q . rows[qy - ky + side - 1]` and
    /// `q . columns[qx - kx + side - 1]`, with `q` before the scale. Both tables are `[2 * side - 1, depth]`.
    /// Source: segment_anything/modeling/image_encoder.py, `add_decomposed_rel_pos`.
    pub fn relative(isa: Isa, side: usize, depth: usize, rows: &[f32], columns: &[f32]) -> Self {
        assert!(side > 0, "a window without places");
        let distances = 2 * side - 1;
        assert_eq!((rows.len(), columns.len()), (distances * depth, distances * depth));
        // Backwards, so that the terms of a query's keys follow each other.
        let packed = Packed::new(isa, depth, 2 * distances, |k, column| {
            let table = if column < distances { rows } else { columns };
            table[(distances - 1 - column % distances) * depth + k]
        });
        Self::Relative(Relative { side, packed })
    }
}

/// See [`Positions::table`].
pub struct Table {
    places: usize,
    values: Aligned,
}

/// See [`Positions::relative`].
pub struct Relative {
    side: usize,
    /// `[depth, rows' distances then columns']`.
    packed: Packed,
}

/// Attention of one layer.
pub struct Attention {
    isa: Isa,
    heads: Heads,
    scale: f32,
    positions: Positions,
}

impl Attention {
    /// Scores are multiplied by `1 / sqrt(depth)`.
    pub fn new(isa: Isa, heads: Heads, positions: Positions) -> Self {
        assert!(volume([heads.count, heads.depth]) > 0, "{heads:?}");
        match &positions {
            Positions::None => {}
            Positions::Table(table) => assert_eq!(table.values.len(), heads.count * table.places * table.places),
            Positions::Relative(relative) => {
                assert_eq!((relative.packed.isa, relative.packed.depth), (isa, heads.depth));
            }
        }
        Self { isa, heads, scale: 1.0 / (heads.depth as f32).sqrt(), positions }
    }

    /// Attends within each group. `qkv` are the rows that the groups name; `padding` is a row of the same kind that
    /// stands for all places that no row fills. `out` gets `heads * depth` values for each row of a group; other rows are
    /// left alone.
    ///
    /// # Panics
    /// If rows are too short or too few, or groups have padding or a size that this layer was not made for.
    pub fn run(&self, cpu: &Cpu, qkv: Rows<'_>, groups: &Groups, padding: Option<&[f32]>, out: RowsMut<'_>) {
        let Heads { count: heads, depth, .. } = self.heads;
        qkv.check(groups.row_bound(), self.heads.columns());
        out.check(groups.row_bound(), heads * depth);
        if groups.has_padding() {
            let length = padding.map_or(0, <[f32]>::len);
            assert!(length >= self.heads.columns(), "groups with padding need a row for it, got {length} values");
        }
        match &self.positions {
            Positions::None => {}
            Positions::Table(table) => assert_eq!(table.places, groups.places()),
            Positions::Relative(relative) => assert_eq!(relative.side * relative.side, groups.places()),
        }
        let out_stride = out.stride;
        let work = Work {
            attention: self,
            layout: Layout::new(self.isa, groups.places(), depth),
            qkv,
            groups,
            padding: padding.unwrap_or(&[]),
            out: Shared::new(out.values),
            out_stride,
        };
        let units = groups.len() * heads;
        let (threads, blocks) = (cpu.pool.threads(), work.layout.query_blocks);
        if blocks > 1 && units < 4 * threads {
            work.share_keys(cpu, units);
        } else {
            let at_least = (TASK / (groups.places() * groups.places() * depth)).max(1);
            let each = at_least.min(units.div_ceil(4 * threads)).max(1);
            cpu.pool.run(units.div_ceil(each), &|task| {
                let mut unit_room = cpu.arena.take(work.layout.unit());
                let mut room = work.room(cpu);
                let units = task * each..((task + 1) * each).min(units);
                work.prefetch(units.start);
                for unit in units.clone() {
                    work.pack(unit, &mut unit_room);
                    if unit + 1 < units.end {
                        work.prefetch(unit + 1);
                    }
                    for block in 0..blocks {
                        // SAFETY: each unit is one task's, and units write different rows or columns.
                        unsafe { work.attend(unit, block, &unit_room, &mut room) };
                    }
                }
            });
        }
    }
}

/// How a group's keys, values and scores are laid out.
struct Layout {
    shape: Shape,
    keys: usize,
    depth: usize,
    /// Whether both products are of bf16 pairs: then a step takes two numbers of the depth, or two keys.
    pairs: bool,
    /// Of the transposed keys: depth by keys.
    key_panels: Vec<Panel>,
    /// Of the values: keys by depth.
    value_panels: Vec<Panel>,
    /// Panels of keys in a block.
    panels_each: usize,
    query_blocks: usize,
    /// Queries of a block.
    queries_each: usize,
}

impl Layout {
    fn new(isa: Isa, keys: usize, depth: usize) -> Self {
        let shape = isa.shape();
        let Shape { lanes, max_vectors, tile_rows } = shape;
        let pairs = isa.packs_bf16();
        let steps = |count: usize| if pairs { count.div_ceil(2) } else { count };
        // Blocks alike, and whole tiles.
        let query_blocks = keys.div_ceil(QUERIES);
        let queries_each = keys.div_ceil(query_blocks).next_multiple_of(tile_rows[max_vectors - 1]);
        Self {
            shape,
            keys,
            depth,
            pairs,
            key_panels: panels(steps(depth), keys, lanes, max_vectors),
            value_panels: panels(steps(keys), depth, lanes, max_vectors),
            panels_each: KEYS / (max_vectors * lanes),
            query_blocks,
            queries_each,
        }
    }

    fn padded(&self, panels: &[Panel]) -> usize {
        panels.last().map_or(0, |last| last.column + last.vectors * self.shape.lanes)
    }

    /// Steps of a product over `count` numbers.
    fn steps(&self, count: usize) -> usize {
        if self.pairs { count.div_ceil(2) } else { count }
    }

    /// Values of a group's and head's transposed keys.
    fn packed_keys(&self) -> usize {
        self.padded(&self.key_panels) * self.steps(self.depth)
    }

    /// Values of a group's and head's keys and values.
    fn unit(&self) -> usize {
        self.packed_keys() + self.padded(&self.value_panels) * self.steps(self.keys)
    }

    /// From one query's scores to the next: no power of two, which would crowd a few lines of the cache.
    fn score_stride(&self) -> usize {
        self.padded(&self.key_panels).min(KEYS) + self.shape.lanes
    }
}

/// One call's work. A unit is a group and a head: `group * heads + head`.
struct Work<'a> {
    attention: &'a Attention,
    layout: Layout,
    qkv: Rows<'a>,
    groups: &'a Groups,
    padding: &'a [f32],
    out: Shared<'a>,
    out_stride: usize,
}

/// Room for a block of queries.
struct Room {
    /// `[queries, depth]`.
    queries: Buffer,
    /// `[queries, keys of a block]`.
    scores: Buffer,
    /// `[queries, distances]`.
    terms: Buffer,
    /// `[queries, depth in whole vectors]`.
    acc: Buffer,
    max: [f32; QUERIES + MAX_ROWS],
    sum: [f32; QUERIES + MAX_ROWS],
}

impl Work<'_> {
    /// Few groups with many keys: all units are packed first, then the blocks of queries of all units are tasks.
    fn share_keys(&self, cpu: &Cpu, units: usize) {
        let (unit_len, blocks) = (self.layout.unit(), self.layout.query_blocks);
        let mut packed = cpu.arena.take(units * unit_len);
        let shared = Shared::new(&mut packed);
        cpu.pool.run(units, &|unit| {
            // SAFETY: each task has its own part.
            self.pack(unit, unsafe { shared.part(unit * unit_len, unit_len) });
        });
        let packed = &packed;
        cpu.pool.run(units * blocks, &|task| {
            let (unit, block) = (task / blocks, task % blocks);
            let mut room = self.room(cpu);
            // SAFETY: each block of a unit is one task's, and no two of them write the same row and columns.
            unsafe { self.attend(unit, block, &packed[unit * unit_len..(unit + 1) * unit_len], &mut room) };
        });
    }

    fn room(&self, cpu: &Cpu) -> Room {
        let rows = self.layout.queries_each;
        let distances = match &self.attention.positions {
            Positions::Relative(relative) => relative.packed.columns(),
            Positions::None | Positions::Table(_) => 0,
        };
        Room {
            queries: cpu.arena.take(rows * self.layout.depth),
            scores: cpu.arena.take(rows * self.layout.score_stride()),
            // Vectors are read from any distance on.
            terms: cpu.arena.take(rows * distances + MOST_LANES),
            acc: cpu.arena.take(rows * self.layout.padded(&self.layout.value_panels)),
            max: [0.0; QUERIES + MAX_ROWS],
            sum: [0.0; QUERIES + MAX_ROWS],
        }
    }

    /// Where a row's part for a head starts; padding has a row of its own.
    fn part(&self, row: Option<usize>, start: usize) -> &[f32] {
        let values = match row {
            Some(row) => &self.qkv.values[row * self.qkv.stride..],
            None => self.padding,
        };
        &values[start..start + self.layout.depth]
    }

    /// Asks for a unit's parts of the rows: they lie far from each other, so the processor would wait for each.
    fn prefetch(&self, unit: usize) {
        let Heads { count, query, key, value, step, .. } = self.attention.heads;
        let (group, head) = (unit / count, unit % count);
        for row in self.groups.rows_of(group).flatten() {
            for start in [query, key, value] {
                prefetch(self.part(Some(row), start + head * step));
            }
        }
    }

    /// Transposes a unit's keys into panels and lines its values up.
    fn pack(&self, unit: usize, to: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.layout.pairs {
            return self.pack_pairs(unit, to);
        }
        let Heads { count, depth, key, value, step, .. } = self.attention.heads;
        let (group, head) = (unit / count, unit % count);
        let (keys, values) = to.split_at_mut(self.layout.packed_keys());
        let mut rows = self.groups.rows_of(group);
        for panel in &self.layout.key_panels {
            let width = panel.vectors * self.layout.shape.lanes;
            let panel_values = &mut keys[panel.start..panel.start + width * depth];
            for column in 0..width {
                // Behind the last key are zeros, so that scores of whole vectors are numbers.
                match rows.next() {
                    Some(row) => {
                        let from = self.part(row, key + head * step);
                        for (line, &value) in panel_values.chunks_exact_mut(width).zip(from) {
                            line[column] = value;
                        }
                    }
                    None => panel_values.chunks_exact_mut(width).for_each(|line| line[column] = 0.0),
                }
            }
        }
        for panel in &self.layout.value_panels {
            let width = panel.vectors * self.layout.shape.lanes;
            let panel_values = &mut values[panel.start..panel.start + width * self.layout.keys];
            for (line, row) in panel_values.chunks_exact_mut(width).zip(self.groups.rows_of(group)) {
                let from = &self.part(row, value + head * step)[panel.column..panel.column + panel.columns];
                line[..panel.columns].copy_from_slice(from);
                line[panel.columns..].fill(0.0);
            }
        }
    }

    /// The same as bf16: two numbers of the depth, and two keys of the values, in each of the panels' values.
    #[cfg(target_arch = "x86_64")]
    fn pack_pairs(&self, unit: usize, to: &mut [f32]) {
        let Heads { count, depth, key, value, step, .. } = self.attention.heads;
        let (group, head) = (unit / count, unit % count);
        let (keys, values) = to.split_at_mut(self.layout.packed_keys());
        let mut rows = self.groups.rows_of(group);
        for panel in &self.layout.key_panels {
            let width = panel.vectors * self.layout.shape.lanes;
            let panel_values = &mut keys[panel.start..panel.start + width * self.layout.steps(depth)];
            for column in 0..width {
                let from = rows.next().map_or(&[][..], |row| self.part(row, key + head * step));
                for (index, line) in panel_values.chunks_exact_mut(width).enumerate() {
                    let number = |k: usize| from.get(k).copied().unwrap_or(0.0);
                    line[column] = bf16_pair(number(2 * index), number(2 * index + 1));
                }
            }
        }
        for panel in &self.layout.value_panels {
            let width = panel.vectors * self.layout.shape.lanes;
            let panel_values = &mut values[panel.start..panel.start + width * self.layout.steps(self.layout.keys)];
            let mut rows = self.groups.rows_of(group);
            let mut next = || {
                let row = rows.next()?;
                Some(&self.part(row, value + head * step)[panel.column..panel.column + panel.columns])
            };
            for line in panel_values.chunks_exact_mut(width) {
                let (inside, outside) = line.split_at_mut(panel.columns);
                outside.fill(0.0);
                match (next(), next()) {
                    (Some(low), Some(high)) => {
                        for ((to, &low), &high) in inside.iter_mut().zip(low).zip(high) {
                            *to = bf16_pair(low, high);
                        }
                    }
                    (Some(low), None) => {
                        inside.iter_mut().zip(low).for_each(|(to, &low)| *to = bf16_pair(low, 0.0));
                    }
                    _ => inside.fill(0.0),
                }
            }
        }
    }

    /// A block of a unit's queries, from their rows to their results.
    ///
    /// # Safety
    /// Nobody else writes these queries' results of this head meanwhile.
    unsafe fn attend(&self, unit: usize, block: usize, packed: &[f32], room: &mut Room) {
        let Attention { isa, scale, .. } = *self.attention;
        let Layout { depth, queries_each, panels_each, shape, pairs, .. } = self.layout;
        let Heads { count, query, step, .. } = self.attention.heads;
        let (group, head) = (unit / count, unit % count);
        let all = self.groups.queries_of(group);
        let first = (block * queries_each).min(all.len());
        let queries: &[Query] = &all[first..(first + queries_each).min(all.len())];
        if queries.is_empty() {
            return;
        }
        let steps = self.layout.steps(depth);
        for (to, one) in room.queries.chunks_exact_mut(steps).zip(queries) {
            let from = self.part(Some(one.row as usize), query + head * step);
            if pairs {
                #[cfg(target_arch = "x86_64")]
                round_row(isa, from, to);
            } else {
                to.copy_from_slice(from);
            }
        }
        let acc_stride = self.layout.padded(&self.layout.value_panels);
        let score_stride = self.layout.score_stride();
        let (keys, values) = packed.split_at(self.layout.packed_keys());
        let asked = Product { isa, shape, rows: queries.len(), pairs };
        // SAFETY: `room` is as large as `Layout` says for `queries_each` rows, panels are as large as `panels` says, and
        // tiles and vectors stay within whole panels.
        unsafe {
            let bias = match &self.attention.positions {
                Positions::None => Bias::None,
                Positions::Table(Table { places, values }) => {
                    Bias::Table { values: values[head * places * places..].as_ptr(), places: *places }
                }
                Positions::Relative(Relative { side, packed }) => {
                    let stride = packed.columns();
                    for panel in &packed.panels {
                        let weights = packed.values[panel.start..].as_ptr();
                        let out = room.terms.as_mut_ptr().add(panel.column);
                        let to = Output { start: std::ptr::null(), out, stride, columns: panel.columns };
                        asked.run(room.queries.as_ptr(), steps, steps, weights, panel.vectors, to);
                    }
                    Bias::Relative { terms: room.terms.as_ptr(), stride, side: *side }
                }
            };
            let acc = room.acc.as_mut_ptr();
            for (index, block) in self.layout.key_panels.chunks(panels_each).enumerate() {
                let first_key = block[0].column;
                for panel in block {
                    let columns = panel.vectors * shape.lanes;
                    let out = room.scores.as_mut_ptr().add(panel.column - first_key);
                    let to = Output { start: std::ptr::null(), out, stride: score_stride, columns };
                    let weights = keys[panel.start..].as_ptr();
                    asked.run(room.queries.as_ptr(), steps, steps, weights, panel.vectors, to);
                }
                let block_keys = block.iter().map(|panel| panel.columns).sum();
                isa.run(Softmax {
                    scores: room.scores.as_mut_ptr(),
                    stride: score_stride,
                    queries,
                    first_key,
                    keys: block_keys,
                    scale,
                    bias,
                    max: room.max.as_mut_ptr(),
                    sum: room.sum.as_mut_ptr(),
                    acc,
                    acc_stride,
                    is_first: index == 0,
                });
                #[cfg(target_arch = "x86_64")]
                if pairs {
                    for row in room.scores.chunks_exact_mut(score_stride).take(queries.len()) {
                        round_row_in_place(isa, row, block_keys);
                    }
                }
                let key_steps = self.layout.steps(block_keys);
                for panel in &self.layout.value_panels {
                    let width = panel.vectors * shape.lanes;
                    let out = acc.add(panel.column);
                    let start = if index == 0 { std::ptr::null() } else { out.cast_const() };
                    let to = Output { start, out, stride: acc_stride, columns: width };
                    let weights = values[panel.start + self.layout.steps(first_key) * width..].as_ptr();
                    asked.run(room.scores.as_ptr(), score_stride, key_steps, weights, panel.vectors, to);
                }
            }
            isa.run(Finish {
                queries,
                acc,
                acc_stride,
                sum: room.sum.as_ptr(),
                out: self.out.at(head * depth),
                out_stride: self.out_stride,
                depth,
            });
        }
    }
}

/// Products of a block's rows.
#[derive(Clone, Copy)]
struct Product {
    isa: Isa,
    shape: Shape,
    rows: usize,
    pairs: bool,
}

/// Where a product goes.
#[derive(Clone, Copy)]
struct Output {
    /// Rows to start from, or null; as far apart as those of `out`.
    start: *const f32,
    out: *mut f32,
    stride: usize,
    columns: usize,
}

impl Product {
    /// `out = start + x panel`.
    ///
    /// # Safety
    /// `rows` rows of `depth` values every `stride` lie at `x`, `depth` lines at `panel`, and the output is as large.
    unsafe fn run(self, x: *const f32, stride: usize, depth: usize, panel: *const f32, vectors: usize, to: Output) {
        let height = self.shape.tile_rows[vectors - 1];
        for row in (0..self.rows).step_by(height) {
            let row_count = height.min(self.rows - row);
            // SAFETY: the caller's promise.
            unsafe {
                let mut rows = [x; MAX_ROWS];
                for (r, pointer) in rows.iter_mut().enumerate().take(row_count) {
                    *pointer = x.add((row + r) * stride);
                }
                let tile = Tile {
                    rows,
                    taps: &[0],
                    depth,
                    pairs: self.pairs,
                    panel,
                    bias: std::ptr::null(),
                    start: if to.start.is_null() { to.start } else { to.start.add(row * to.stride) },
                    start_stride: to.stride,
                    out: to.out.add(row * to.stride),
                    out_stride: to.stride,
                    columns: to.columns,
                    activation: Activation::None,
                };
                tile.run(self.isa, row_count, vectors);
            }
        }
    }
}
