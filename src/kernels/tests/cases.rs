//! Every public kernel as a function of a few small numbers, so that one loop can run them all.
//!
//! A case takes its inputs and outputs from a [`Bench`] (which puts them at an edge of memory), gives all that was
//! written, and sees to it that the gaps between rows were left alone.

use super::super::layout::{patch_rows, planes_from_rows, rows_from_planes, with_rim};
use super::super::maps::{add_doubled, add_with_mean, round_to_f16};
use super::super::patches::Layout;
use super::super::testing::noise;
use super::super::{
    Activation, Attention, Convolution, Cpu, CrossHeads, Depthwise, Enlarge, Groups, Heads, HeadsIn, HeadsOut, Hearing,
    InvertedResidual, LayerNorm, Linear, Meeting, Packed, Patches, PicturePass, Positions, Rows, RowsMut, Start, look,
};
use super::guarded::{Edge, Guarded};

/// What a gap holds before and after.
const GAP: f32 = 9.0;

/// Small numbers from which a case makes its sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) c: usize,
    /// Values between rows.
    pub(super) gap: usize,
    /// Chooses among variants, and the numbers.
    pub(super) seed: u32,
}

/// What is special about the first input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Usual,
    /// Many are denormal or zero of either sign.
    Tiny,
    /// One is not a number.
    OneNan,
}

/// Where a case runs.
pub(super) struct Bench<'a> {
    pub(super) cpu: &'a Cpu,
    pub(super) edge: Edge,
    pub(super) numbers: Numbers,
}

impl Bench<'_> {
    fn hold(&self, values: &[f32]) -> Guarded {
        Guarded::new(values, self.edge)
    }

    /// Numbers without anything special.
    fn plain(&self, len: usize, seed: u32) -> Guarded {
        self.hold(&noise(len, seed))
    }

    /// The input that carries what is special.
    fn input(&self, len: usize, seed: u32) -> Guarded {
        let mut values = noise(len, seed);
        match self.numbers {
            Numbers::Usual => {}
            Numbers::Tiny => {
                let tiny = [1e-40, -1e-45, 0.0, -0.0, 1e-38, 3e-39];
                values.iter_mut().zip(0..).filter(|(_, i)| i % 3 != 0).for_each(|(v, i)| *v = tiny[i % tiny.len()]);
            }
            Numbers::OneNan if len > 0 => values[seed as usize * 7919 % len] = f32::NAN,
            Numbers::OneNan => {}
        }
        self.hold(&values)
    }

    fn output(&self, len: usize) -> Guarded {
        self.hold(&vec![GAP; len])
    }
}

fn activation(seed: u32) -> Activation {
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::Gelu, Activation::QuickGelu][seed as usize % 5]
}

/// Values of `count` rows of `columns` with gaps between them, none behind the last.
fn strided(count: usize, columns: usize, stride: usize) -> usize {
    (count - 1) * stride + columns
}

#[track_caller]
fn check_gaps(values: &[f32], columns: usize, stride: usize) {
    for row in values.chunks(stride) {
        assert!(row.iter().skip(columns).all(|&gap| gap == GAP), "a gap was written");
    }
}

pub(super) type Case = fn(&Bench<'_>, Size) -> Vec<f32>;

/// All kernels by name.
pub(super) const CASES: &[(&str, Case)] = &[
    ("linear", linear),
    ("convolution", convolution),
    ("depthwise", depthwise),
    ("inverted residual", inverted_residual),
    ("patches", patches),
    ("layer norm", layer_norm),
    ("attention", attention),
    ("cross attention", cross_attention),
    ("picture pass", picture_pass),
    ("enlarge", enlarge),
    ("maps", maps),
    ("layout", layout),
];

fn linear(bench: &Bench<'_>, Size { a: rows, b: depth, c: columns, gap, seed }: Size) -> Vec<f32> {
    let (stride, out_stride) = (depth + gap, columns + gap);
    let x = bench.input(strided(rows, depth, stride), seed);
    let x = Rows { values: &x, stride };
    let packed = Packed::from_linear(bench.cpu.isa, &noise(columns * depth, seed + 1), columns, depth);
    let bias = noise(columns, seed + 2);
    let linear = Linear::new(packed, (seed % 3 > 0).then_some(&bias), activation(seed));
    let len = strided(rows, columns, out_stride);
    let other = bench.plain(len, seed + 3);
    let other = Start::Other(Rows { values: &other, stride: out_stride });
    let mut all = Vec::new();
    for here in [false, true] {
        for start in [Start::Zero, Start::Output, other] {
            let mut out = bench.output(len);
            let to = RowsMut { values: &mut out, stride: out_stride };
            match here {
                false => linear.run(bench.cpu.pool, rows, x, start, to),
                true => linear.run_here(rows, x, start, to),
            }
            check_gaps(&out, columns, out_stride);
            all.extend_from_slice(&out);
        }
    }
    let (first, second) = all.split_at(all.len() / 2);
    assert!(first.iter().zip(second).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "`run` is `run_here`");
    all
}

fn convolution(bench: &Bench<'_>, Size { a, b, c, gap, seed }: Size) -> Vec<f32> {
    let (height, width, inputs, outputs) = (a % 6 + 1, b % 9 + 1, b % 5 + 1, c);
    let (kernel, stride) = ([1, 3, 5][seed as usize % 3], a % 2 + 1);
    let weight = noise(outputs * inputs * kernel * kernel, seed + 1);
    let bias = noise(outputs, seed + 2);
    let isa = bench.cpu.isa;
    let shape = [outputs, inputs, kernel];
    let convolution = Convolution::new(isa, &weight, shape, stride, Some(&bias), activation(seed));
    let (out_height, out_width) = convolution.out_size(height, width);
    let out_stride = outputs + gap;
    let map = bench.input(height * width * inputs, seed);
    let mut out = bench.output(strided(out_height * out_width, outputs, out_stride));
    let to = RowsMut { values: &mut out, stride: out_stride };
    convolution.run(bench.cpu, &map, height, width, Start::Zero, to);
    check_gaps(&out, outputs, out_stride);

    // The same from surroundings that end with the last value that is needed.
    let (rows, wide) = ((out_height - 1) * stride + kernel, (out_width - 1) * stride + kernel);
    let patch = bench.input(rows * wide * inputs, seed);
    let mut more = bench.output(out.len());
    let to = RowsMut { values: &mut more, stride: out_stride };
    convolution.run_on_surroundings(bench.cpu.pool, &patch, wide, [out_height, out_width], Start::Output, to);
    check_gaps(&more, outputs, out_stride);
    [&out[..], &more].concat()
}

fn depthwise(bench: &Bench<'_>, Size { a, b: width, c: channels, seed, .. }: Size) -> Vec<f32> {
    let (height, kernel, stride) = (a % 5 + 1, [3, 5, 7, 1][seed as usize % 4], a % 3 + 1);
    let (weight, bias) = (noise(channels * kernel * kernel, seed + 1), noise(channels, seed + 2));
    let depthwise = Depthwise::new(bench.cpu.isa, &weight, [channels, kernel], stride, &bias, activation(seed));
    let (out_height, out_width) = depthwise.out_size(height, width);
    let map = bench.input(height * width * channels, seed);
    let mut out = bench.output(out_height * out_width * channels);
    depthwise.run(bench.cpu, &map, height, width, &mut out);
    if stride == 1 {
        for (row, want) in out.chunks_exact(width * channels).enumerate() {
            let mut line = bench.output(width * channels);
            depthwise.run_row(&map, height, row, &mut line);
            assert!(line.iter().zip(want).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "`run_row` is `run`");
        }
    }
    out.to_vec()
}

fn inverted_residual(bench: &Bench<'_>, Size { a, b, c: middle, seed, .. }: Size) -> Vec<f32> {
    let (height, width, inputs, kernel, stride) = (a % 7 + 1, b % 9 + 1, b, [3, 5][seed as usize % 2], a % 2 + 1);
    let skip = stride == 1 && seed % 3 > 0;
    let outputs = if skip { inputs } else { a };
    inverted(bench, [height, width, inputs, middle, outputs], [kernel, stride], skip, seed)
}

/// The block with sizes in the open: height, width, channels before, within and after.
pub(super) fn inverted(
    bench: &Bench<'_>,
    [height, width, inputs, middle, outputs]: [usize; 5],
    [kernel, stride]: [usize; 2],
    skip: bool,
    seed: u32,
) -> Vec<f32> {
    let isa = bench.cpu.isa;
    let layer = |from: usize, to: usize, seed: u32, activation: Activation| {
        let packed = Packed::from_linear(isa, &noise(from * to, seed), to, from);
        Linear::new(packed, Some(&noise(to, seed + 1)), activation)
    };
    let (weight, bias) = (noise(middle * kernel * kernel, seed + 5), noise(middle, seed + 6));
    let filter = Depthwise::new(isa, &weight, [middle, kernel], stride, &bias, Activation::Relu6);
    let expand = layer(inputs, middle, seed + 1, Activation::Relu6);
    let block = InvertedResidual::new(Some(expand), filter, layer(middle, outputs, seed + 3, activation(seed)), skip);
    let (out_height, out_width) = block.out_size(height, width);
    let map = bench.input(height * width * inputs, seed);
    let mut out = bench.output(out_height * out_width * outputs);
    block.run(bench.cpu, &map, height, width, &mut out);
    out.to_vec()
}

fn patches(bench: &Bench<'_>, Size { a, b, c: outputs, gap, seed }: Size) -> Vec<f32> {
    let (side, inputs) = (seed as usize % 4 + 1, b % 5 + 1);
    let (height, width) = (side * (a % 4 + 1), side * (b % 6 + 1));
    let weight = noise(outputs * inputs * side * side, seed + 1);
    let map = bench.input(height * width * inputs, seed);
    let out_stride = outputs + gap;
    let mut all = Vec::new();
    for layout in [Layout::Planes, Layout::Pixels] {
        let shape = [outputs, inputs, side];
        let patches = Patches::new(bench.cpu.isa, &weight, shape, layout, None, activation(seed));
        let mut out = bench.output(strided((height / side) * (width / side), outputs, out_stride));
        let to = RowsMut { values: &mut out, stride: out_stride };
        patches.run(bench.cpu, &map, height, width, Start::Zero, to);
        check_gaps(&out, outputs, out_stride);
        all.extend_from_slice(&out);
    }
    all
}

fn layer_norm(bench: &Bench<'_>, Size { a: rows, b: channels, gap, seed, .. }: Size) -> Vec<f32> {
    let stride = channels + gap;
    let (weight, bias) = (noise(channels, seed + 1), noise(channels, seed + 2));
    let norm = LayerNorm::new(bench.cpu.isa, &weight, &bias, 1e-2, activation(seed));
    let mut x = bench.input(strided(rows, channels, stride), seed);
    x.chunks_mut(stride).for_each(|row| row.iter_mut().skip(channels).for_each(|gap| *gap = GAP));
    let mut out = bench.output(x.len());
    norm.run(bench.cpu.pool, rows, Rows { values: &x, stride }, RowsMut { values: &mut out, stride });
    norm.run_in_place(bench.cpu.pool, rows, RowsMut { values: &mut x, stride });
    check_gaps(&out, channels, stride);
    check_gaps(&x, channels, stride);
    [&out[..], &x].concat()
}

fn attention(bench: &Bench<'_>, Size { a, b, c, gap, seed }: Size) -> Vec<f32> {
    let isa = bench.cpu.isa;
    let (count, depth, side) = (a % 3 + 1, b, c % 6 + 1);
    let heads =
        if seed.is_multiple_of(2) { Heads::parts_first(count, depth) } else { Heads::heads_first(count, depth) };
    let (width, columns) = (count * depth, 3 * count * depth);
    let (stride, out_stride) = (columns + gap, width + gap);
    let table = |len: usize, seed: u32| noise(len, seed).iter().map(|v| 0.3 * v).collect::<Vec<_>>();
    let places = side * side;
    let (map_height, map_width, pictures) = (a % 7 + 1, c % 9 + 1, a % 2 + 1);
    let windows = || Groups::windows(map_height, map_width, side);
    let distances = (2 * side - 1) * depth;
    let relative = Positions::relative(isa, side, depth, &table(distances, seed + 1), &table(distances, seed + 2));
    let mut all = Vec::new();
    let tabled = Positions::table(count, places, &table(count * places * places, seed + 3));
    for (groups, positions, rows) in [
        (Groups::consecutive(pictures, c), Positions::None, pictures * c),
        (windows(), tabled, map_height * map_width),
        (windows(), relative, map_height * map_width),
    ] {
        let mut qkv = bench.input(strided(rows, columns, stride), seed);
        qkv.iter_mut().for_each(|v| *v *= 0.5);
        let padding = bench.plain(columns, seed + 4);
        let mut out = bench.output(strided(rows, width, out_stride));
        let to = RowsMut { values: &mut out, stride: out_stride };
        let layer = Attention::new(isa, heads, positions);
        layer.run(bench.cpu, Rows { values: &qkv, stride }, &groups, Some(&padding), to);
        check_gaps(&out, width, out_stride);
        all.extend_from_slice(&out);
    }
    all
}

fn cross_attention(bench: &Bench<'_>, Size { a: cells, b, c, gap, seed }: Size) -> Vec<f32> {
    let heads = CrossHeads::new(bench.cpu.isa, [4, 8, 16][seed as usize % 3], b % 9 + 1);
    let (inner, tokens) = (heads.inner(), c % 11 + 1);
    let stride = inner + gap;
    let keys = bench.input(strided(cells, inner, stride), seed);
    let keys = Rows { values: &keys, stride };
    let values = bench.plain(strided(cells, inner, stride), seed + 1);
    let values = Rows { values: &values, stride };
    let queries = bench.plain(strided(tokens, inner, stride), seed + 2);
    let queries = Rows { values: &queries, stride };
    let few = heads.few(queries, tokens);
    let columns = few.columns();
    let all_of = |values: &[f32]| -> Vec<f32> {
        // Padded columns, which differ between machines, left out.
        values.chunks_exact(columns).flat_map(|row| row[..tokens * heads.inner() / heads.depth()].to_vec()).collect()
    };
    let mut scores = bench.output(cells * columns);
    heads.scores(keys, cells, &few, &mut scores);
    let mut all = all_of(&scores);
    let mut over_tokens = bench.hold(&scores);
    heads.softmax_over_tokens(&mut over_tokens, columns);
    all.extend(all_of(&over_tokens));
    let (mut most, mut sum) = (bench.output(columns), bench.output(columns));
    heads.exp_over_rows(&mut scores, &mut most, &mut sum);
    all.extend(all_of(&sum));
    let mut seen = bench.output(heads.depth() * columns);
    heads.weigh(&scores, columns, values, cells, &mut seen);
    all.extend(all_of(&seen));
    let weight = bench.plain((a_multiple(cells)) * inner, seed + 3);
    all.extend(all_of(&heads.fold(&weight, &few)));
    let mut out = bench.output(strided(tokens, inner, stride));
    let to = RowsMut { values: &mut out, stride };
    look(bench.cpu, heads, &Meeting::with_cells(heads, keys, queries, tokens), values, cells, to);
    check_gaps(&out, inner, stride);
    all.extend_from_slice(&out);
    all
}

/// A few channels.
fn a_multiple(of: usize) -> usize {
    of % 5 + 1
}

fn picture_pass(bench: &Bench<'_>, Size { a, b, c, gap, seed }: Size) -> Vec<f32> {
    let heads = CrossHeads::new(bench.cpu.isa, [4, 8, 16][seed as usize % 3], b % 3 + 1);
    let (inner, tokens, channels, cells) = (heads.inner(), c % 9 + 1, 16 * (b % 3 + 1), 4 * a);
    let isa = bench.cpu.isa;
    let small = |len: usize, seed: u32| bench.hold(&noise(len, seed).iter().map(|v| 0.2 * v).collect::<Vec<_>>());
    let (weight, gamma) = (small(channels * inner, seed + 1), noise(channels, seed + 2));
    let norm = LayerNorm::new(isa, &gamma, &gamma, 1e-2, Activation::None);
    let (few, constant) = (small(tokens * inner, seed + 3), small(cells * inner, seed + 5));
    let (said, bias) = (small(tokens * inner, seed + 4), small(channels, seed + 7));
    let stride = channels + gap;
    let mut messages = bench.output(strided(tokens * (inner / heads.depth()), channels, stride));
    HeadsOut::new(heads, &weight, &bias, channels).run(bench.cpu, tokens, &said, &mut messages, stride);
    let meet = || {
        let constant = Rows::dense(&constant, inner);
        Meeting::with_weight(heads, constant, &weight, Rows::dense(&few, inner), tokens)
    };
    let messages = Rows { values: &messages, stride };
    let hears = Hearing { meeting: meet(), messages, norm: &norm };
    let pass = PicturePass { heads, hears, looks: meet() };
    let mut rows = bench.input(strided(cells, channels, stride), seed);
    rows.chunks_mut(stride).for_each(|row| row.iter_mut().skip(channels).for_each(|gap| *gap = GAP));
    let mut after = bench.output(rows.len());
    let to = RowsMut { values: &mut after, stride };
    let seen = pass.run(bench.cpu, cells, Some(Rows { values: &rows, stride }), to);
    check_gaps(&after, channels, stride);
    let seen = bench.hold(&seen);
    pass.run(bench.cpu, cells, None, RowsMut { values: &mut rows, stride });
    check_gaps(&rows, channels, stride);
    let mut looked = bench.output(tokens * inner);
    let (weight, bias) = (small(inner * channels, seed + 8), small(inner, seed + 9));
    HeadsIn::new(heads, &weight, &bias, channels).run(bench.cpu, tokens, &seen, &mut looked);
    [&after[..], &seen, &rows, &looked].concat()
}

fn enlarge(bench: &Bench<'_>, Size { a, b, c, gap, seed }: Size) -> Vec<f32> {
    let isa = bench.cpu.isa;
    let (inputs, large, larger, count) = (b, c, 4 * (a % 3 + 1), b % 3 + 1);
    let (width, height) = (a % 5 + 1, c % 7 + 1);
    let (w1, b1) = (noise(inputs * large * 4, seed + 1), noise(large, seed + 2));
    let (w2, b2) = (noise(large * larger * 4, seed + 3), noise(larger, seed + 4));
    let (gamma, masks) = (noise(large, seed + 5), bench.plain(count * larger, seed + 6));
    let norm = LayerNorm::new(isa, &gamma, &gamma, 1e-2, Activation::Relu);
    let enlarge = Enlarge::new(isa, [inputs, large, larger], (&w1, &b1), norm, (&w2, &b2));
    let stride = inputs + gap;
    let cells = width * height;
    let rows = bench.input(strided(cells, inputs, stride), seed);
    let mut out = bench.output(count * cells * 16);
    let skips = [bench.plain(cells * 4 * large, seed + 7), bench.plain(cells * 16 * larger, seed + 8)];
    let mut all = Vec::new();
    for skips in [None, Some(skips.each_ref().map(|skip| &skip[..]))] {
        enlarge.masks(bench.cpu, [cells, width], Rows { values: &rows, stride }, skips, &masks, &mut out);
        all.extend_from_slice(&out);
    }
    all
}

fn maps(bench: &Bench<'_>, Size { a, b, c: channels, seed, .. }: Size) -> Vec<f32> {
    let (height, width) = (a % 4 + 1, b % 5 + 1);
    let from = bench.input(height * width * channels, seed);
    let mut to = bench.plain(4 * from.len(), seed + 1);
    add_doubled(bench.cpu, &from, height, width, channels, &mut to);
    let mut other = bench.plain(from.len(), seed + 2);
    add_with_mean(&mut other, &from, channels);
    let mut rounded = bench.hold(&from);
    round_to_f16(bench.cpu, &mut rounded);
    [&to[..], &other, &rounded].concat()
}

fn layout(bench: &Bench<'_>, Size { a, b: width, c: channels, seed, .. }: Size) -> Vec<f32> {
    let pool = bench.cpu.pool;
    let (height, rim) = (a % 5 + 1, seed as usize % 3);
    let map = bench.input(height * width * channels, seed);
    let (mut rows, mut planes) = (bench.output(map.len()), bench.output(map.len()));
    rows_from_planes(pool, &map, channels, &mut rows);
    planes_from_rows(pool, &rows, channels, &mut planes);
    assert!(planes.iter().zip(&*map).all(|(a, b)| a.to_bits() == b.to_bits()), "there and back");
    let mut padded = bench.output((height + 2 * rim) * (width + 2 * rim) * channels);
    with_rim(pool, &map, width, channels, rim, &mut padded);
    let (patch, side) = (height, 2 * height);
    let square = bench.input(a_multiple(channels) * side * side, seed);
    let mut pieces = bench.output(square.len());
    patch_rows(pool, &square, a_multiple(channels), side, patch, &mut pieces);
    [&rows[..], &padded, &pieces].concat()
}
