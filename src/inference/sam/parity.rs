//! Parts of SAM against upstream's answers: single blocks within 1e-5, whole halves within 1e-4.
//!
//! The golden file holds samples of big tensors; the steps here are those of `tests/golden/make_sam_golden.py`.

#[path = "../../../tests/headless/counter_weights.rs"]
pub(in crate::inference) mod counter_weights;

use super::cpu;
use super::mask_decoder::MaskDecoder;
use super::preprocess::prepare_view;
use super::prompt_encoder::PromptEncoder;
use super::tiny_vit::TinyVitEncoder;
use super::vit::{VitConfig, VitEncoder};
use crate::geometry::PixelRect;
use crate::inference::segmenter::{EncodeControl, LabeledPoint, PointLabel};
use crate::inference::weights::Weights;
use crate::kernels::{Buffer, Cpu, Isa};
use candle_core::{Device, Tensor};
use counter_weights::{Golden, assert_close, mask_prompt, model, picture, safetensors_bytes, unit};

const BLOCK: f32 = 1e-5;
const WHOLE: f32 = 1e-4;

fn weights(part: &str) -> Weights {
    Weights::from_bytes(part.into(), safetensors_bytes(&model(part)), &Device::Cpu).unwrap()
}

fn input(name: &str, rows: usize, columns: usize) -> Tensor {
    Tensor::from_vec(unit(name, rows * columns), (rows, columns), &Device::Cpu).unwrap()
}

/// Every `step`-th row, flat.
fn sampled(rows: &Tensor, step: usize) -> Vec<f32> {
    rows.to_vec2::<f32>().unwrap().into_iter().step_by(step).flatten().collect()
}

/// `[channels, side, side]` to `[side * side, channels]`.
fn rows(planes: &Tensor) -> Tensor {
    planes.flatten_from(1).unwrap().t().unwrap().contiguous().unwrap()
}

/// Compares every `step`-th row with a golden tensor.
fn compare(golden: &Golden, name: &str, rows: &Tensor, step: usize, tolerance: f32) {
    assert_close(name, &sampled(rows, step), &golden.floats(name).1, tolerance);
}

#[test]
fn vit_blocks_match_upstream() {
    let golden = Golden::open("sam-vit.golden.safetensors");
    let weights = weights("vit");
    let config = VitConfig::from_shapes(&weights).unwrap();
    assert_eq!((config.dim, config.heads, config.grid, config.input_side()), (32, 2, 20, 320));
    assert_eq!(config.windows, [14, 20, 14]);
    let encoder = VitEncoder::load(&weights, config).unwrap();
    let tokens = input("block input", 400, 32);
    compare(&golden, "block.windowed", &encoder.block(0, &tokens), 1, BLOCK);
    compare(&golden, "block.global", &encoder.block(1, &tokens), 1, BLOCK);
    for on_cpu in vits_on_cpu(&weights) {
        for (index, name) in [(0, "block.windowed"), (1, "block.global")] {
            let mut rows = unit("block input", 400 * 32);
            on_cpu.forward_block(index, &mut rows);
            assert_close(name, &rows, &golden.floats(name).1, BLOCK);
        }
    }
}

/// The encoder on the kernels of each instruction set.
fn vits_on_cpu(weights: &Weights) -> impl Iterator<Item = cpu::VitEncoder> {
    Isa::all().into_iter().map(|isa| {
        let cpu = Cpu { isa, ..Cpu::new() };
        cpu::VitEncoder::load(weights, VitConfig::from_shapes(weights).unwrap(), cpu).unwrap()
    })
}

#[test]
fn the_whole_vit_encoder_matches_upstream_from_pixels() {
    let golden = Golden::open("sam-vit.golden.safetensors");
    let weights = weights("vit");
    let encoder = VitEncoder::load(&weights, VitConfig::from_shapes(&weights).unwrap()).unwrap();
    for (width, height) in [(480, 320), (320, 480)] {
        let rgb = picture(width, height);
        let view = prepare_view(&rgb, width, height, PixelRect::of_size(width, height), 320).unwrap();
        let embedding = encoder.encode(&view, &EncodeControl::default()).unwrap();
        let name = format!("{width}x{height}.embedding");
        compare(&golden, &name, &embedding.t().unwrap(), 9, WHOLE);
        let plain = embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for on_cpu in vits_on_cpu(&weights) {
            let rows = on_cpu.encode(&view, &EncodeControl::default()).unwrap();
            assert_close(&name, &rows, &plain, WHOLE);
            let rows = Tensor::from_vec(rows, (400, 256), &Device::Cpu).unwrap();
            compare(&golden, &name, &rows.t().unwrap(), 9, WHOLE);
        }
    }
}

#[test]
fn prompt_encoder_and_mask_decoder_match_upstream() {
    let golden = Golden::open("sam-vit.golden.safetensors");
    let weights = weights("vit");
    let prompts = PromptEncoder::load(&weights, 20, 320).unwrap();
    let positions = prompts.cell_positions().unwrap();
    compare(&golden, "prompt.dense_pe", &positions.t().unwrap(), 13, BLOCK);
    // Upstream's pixel indices plus a half are our corner convention.
    let point = |x: f32, y: f32, label| LabeledPoint { x: x + 0.5, y: y + 0.5, label };
    let points = [point(100.0, 50.0, PointLabel::Include), point(7.5, 300.0, PointLabel::Exclude)];
    let tokens = prompts.tokens(&points).unwrap().unwrap();
    compare(&golden, "prompt.sparse", &tokens, 1, BLOCK);
    let map = prompts.mask_map(&mask_prompt(80)).unwrap();
    compare(&golden, "prompt.dense", &map.t().unwrap(), 13, BLOCK);

    let decoder = MaskDecoder::load(&weights, positions, 20).unwrap();
    let (queries, query_pe) = (input("queries", 7, 256), input("query pe", 7, 256));
    let (keys, key_pe) = (input("keys", 400, 256), input("key pe", 400, 256));
    let (queries, keys) = decoder.transformer().block(1, &queries, &query_pe, &keys, &key_pe);
    compare(&golden, "two_way.queries", &queries, 1, BLOCK);
    compare(&golden, "two_way.keys", &keys, 9, BLOCK);

    let image = input("image embedding", 256, 400).t().unwrap().contiguous().unwrap();
    let rows = (image + map).unwrap();
    let picture = decoder.picture_side(rows.clone()).unwrap();
    let kernels = cpu::MaskDecoder::load(&weights, &prompts.cell_position_values(), 20, Cpu::new()).unwrap();
    let kernels_picture = kernels.picture_side(rows.flatten_all().unwrap().to_vec1().unwrap());
    let (want_shape, want) = golden.floats("decoder.low_res");
    let want_iou = golden.floats("decoder.iou").1;
    let of_one = want.len() / want_shape[0];
    for (multimask, masks) in [(false, 0..1), (true, 1..4)] {
        let decoded = decoder.decode(&picture, Some(&tokens), multimask).unwrap();
        let low_res: Vec<Vec<f32>> = (0..masks.len())
            .map(|i| decoded.low_res.get(i).unwrap().flatten_all().unwrap().to_vec1().unwrap())
            .collect();
        let ours = kernels.decode(&kernels_picture, &prompts.token_values(&points), multimask);
        let (ours, our_iou): (Vec<_>, Vec<_>) =
            ours.into_iter().map(|mask| (mask.low_res.to_vec(), mask.predicted_iou)).unzip();
        for (low_res, iou) in [(low_res, decoded.predicted_iou), (ours, our_iou)] {
            assert_eq!(low_res.len(), masks.len());
            let got: Vec<f32> = low_res
                .iter()
                .flat_map(|mask| mask.chunks(80).step_by(3).flat_map(|row| row.iter().copied().step_by(3)))
                .collect();
            assert_close("decoder.low_res", &got, &want[masks.start * of_one..masks.end * of_one], WHOLE);
            assert_close("decoder.iou", &iou, &want_iou[masks.clone()], WHOLE);
        }
    }
}

/// The interleaved steps of both TinyViT tests: index of a stage, first step, the step after its last.
const TINY_STAGES: [(usize, usize, usize); 4] = [(0, 0, 3), (1, 3, 6), (2, 6, 13), (3, 13, 15)];

#[test]
fn tiny_vit_matches_upstream_part_by_part() {
    let golden = Golden::open("mobile-sam.golden.safetensors");
    let encoder = TinyVitEncoder::load(&weights("mobile_sam"), 128).unwrap();
    let planes = input("small input", 3, 128 * 128).reshape((3, 128, 128)).unwrap();
    let stem = encoder.stem(&planes).unwrap();
    compare(&golden, "tiny.patch_embed", &rows(&stem).t().unwrap(), 7, BLOCK);
    compare(&golden, "tiny.mbconv", &rows(&encoder.step(0, &stem)).t().unwrap(), 7, BLOCK);
    // Steps: two convolutional blocks, a merge, then the first attention block.
    let tokens = input("small tokens", 256, 128).t().unwrap().contiguous().unwrap().reshape((128, 16, 16)).unwrap();
    compare(&golden, "tiny.block", &rows(&encoder.step(3, &tokens)), 3, BLOCK);
    let mut x = stem;
    for (stage, from, to) in TINY_STAGES {
        for index in from..to {
            x = encoder.step(index, &x);
        }
        compare(&golden, &format!("tiny.stage{stage}"), &rows(&x), 5, WHOLE);
    }
    let whole = encoder.encode_planes(&planes, &EncodeControl::default()).unwrap();
    compare(&golden, "tiny.whole", &whole.t().unwrap(), 5, WHOLE);
}

#[test]
fn tiny_vit_on_the_kernels_matches_upstream_part_by_part() {
    let golden = Golden::open("mobile-sam.golden.safetensors");
    let weights = weights("mobile_sam");
    let planes = unit("small input", 3 * 128 * 128);
    let pixels = |row: usize, to: &mut [f32]| {
        to.iter_mut().enumerate().for_each(|(i, v)| *v = planes[(i % 3 * 128 + row) * 128 + i / 3]);
    };
    let tensor = |rows: &[f32], channels: usize| {
        Tensor::from_slice(rows, (rows.len() / channels, channels), &Device::Cpu).unwrap()
    };
    for isa in Isa::all() {
        let cpu = Cpu { isa, ..Cpu::new() };
        let copy = |rows: &[f32]| -> Buffer {
            let mut buffer = cpu.arena.take(rows.len());
            buffer.copy_from_slice(rows);
            buffer
        };
        let encoder = cpu::TinyVitEncoder::load(&weights, 128, cpu.clone()).unwrap();
        let mut x = encoder.stem(&pixels);
        compare(&golden, "tiny.patch_embed", &tensor(&x, 64).t().unwrap(), 7, BLOCK);
        compare(&golden, "tiny.mbconv", &tensor(&encoder.step(0, copy(&x)), 64).t().unwrap(), 7, BLOCK);
        let tokens = encoder.step(3, copy(&unit("small tokens", 256 * 128)));
        compare(&golden, "tiny.block", &tensor(&tokens, 128), 3, BLOCK);
        for ((stage, from, to), channels) in TINY_STAGES.into_iter().zip([128, 160, 320, 320]) {
            for index in from..to {
                x = encoder.step(index, x);
            }
            compare(&golden, &format!("tiny.stage{stage}"), &tensor(&x, channels), 5, WHOLE);
        }
        let whole = encoder.encode_pixels(&pixels, &EncodeControl::default()).unwrap();
        compare(&golden, "tiny.whole", &tensor(&whole, 256).t().unwrap(), 5, WHOLE);
    }
}

#[test]
fn tiny_vit_on_the_kernels_equals_candle_from_pixels() {
    let weights = weights("mobile_sam");
    // Neither side fills whole windows, bands or strips.
    let (width, height, side) = (210, 300, 304);
    let view = prepare_view(&picture(width, height), width, height, PixelRect::of_size(width, height), side).unwrap();
    let candle = TinyVitEncoder::load(&weights, side as usize).unwrap();
    let kernels = cpu::TinyVitEncoder::load(&weights, side as usize, Cpu::new()).unwrap();
    let want = candle.encode(&view, &EncodeControl::default()).unwrap().flatten_all().unwrap();
    for _ in 0..2 {
        let got = kernels.encode(&view, &EncodeControl::default()).unwrap();
        assert_close("embedding", &got, &want.to_vec1::<f32>().unwrap(), WHOLE);
    }
}

/// How far `got` is from `want`, as a share of the length of `want`.
fn share_off(got: &[f32], want: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let apart = square(&mut got.iter().zip(want).map(|(a, b)| f64::from(a - b)));
    (apart / square(&mut want.iter().map(|&v| f64::from(v)))).sqrt()
}

/// Random weights have no meaning to be kept, so this only proves that bf16 computes the same network: its rounding is
/// 0.4 % of each number.
#[test]
fn encoders_in_bf16_are_the_same_networks() {
    let Some(cpu) = Cpu::with_bf16() else {
        eprintln!("skipped: this processor has no products of bf16 numbers");
        return;
    };
    let of_vit = weights("vit");
    let load = |cpu| cpu::VitEncoder::load(&of_vit, VitConfig::from_shapes(&of_vit).unwrap(), cpu).unwrap();
    let view = prepare_view(&picture(320, 200), 320, 200, PixelRect::of_size(320, 200), 320).unwrap();
    let encode = |encoder: cpu::VitEncoder| encoder.encode(&view, &EncodeControl::default()).unwrap();
    let off = share_off(&encode(load(cpu.clone())), &encode(load(Cpu::new())));
    assert!(off > 0.0 && off < 0.05, "ViT: {off}");

    let of_tiny = weights("mobile_sam");
    let view = prepare_view(&picture(210, 300), 210, 300, PixelRect::of_size(210, 300), 304).unwrap();
    let encode =
        |cpu| cpu::TinyVitEncoder::load(&of_tiny, 304, cpu).unwrap().encode(&view, &EncodeControl::default()).unwrap();
    let off = share_off(&encode(cpu), &encode(Cpu::new()));
    assert!(off > 0.0 && off < 0.05, "TinyViT: {off}");
}
