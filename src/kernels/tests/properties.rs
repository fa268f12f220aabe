//! What holds for any size and any numbers: each set's kernels give what the plain path gives, NaN where it gives NaN,
//! with any number of threads; and the plain path gives what the definition in f64 gives.

use super::super::testing::noise;
use super::super::{Activation, Arena, Cpu, Depthwise, Isa, LayerNorm, Linear, Packed, Pool, Rows, RowsMut, Start};
use super::cases::{Bench, CASES, Numbers, Size};
use super::guarded::Edge;
use proptest::prelude::*;
use std::sync::OnceLock;

/// Close where both are numbers, NaN in the same places.
#[track_caller]
pub(super) fn assert_twins(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (&g, &w)) in got.iter().zip(want).enumerate() {
        let close = g == w || (g - w).abs() <= tolerance * w.abs().max(1.0);
        assert!(close && g.is_nan() == w.is_nan() || g.is_nan() && w.is_nan(), "{what}: {index} is {g}, wanted {w}");
    }
}

fn three_threads() -> &'static Pool {
    static THREE: OnceLock<&'static Pool> = OnceLock::new();
    THREE.get_or_init(|| Pool::start(3))
}

fn cpu(isa: Isa, pool: &'static Pool) -> Cpu {
    Cpu { isa, pool, arena: Arena::default() }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 2 } else { cases }, failure_persistence: None, ..ProptestConfig::default() }
}

fn size() -> impl Strategy<Value = Size> {
    (1usize..48, 1usize..48, 1usize..48, 0usize..4, 0u32..1000).prop_map(|(a, b, c, gap, seed)| Size {
        a,
        b,
        c,
        gap,
        seed,
    })
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Usual), Just(Numbers::Tiny), Just(Numbers::OneNan)]
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn every_set_gives_what_the_plain_path_gives(size in size(), numbers in numbers()) {
        let plain = cpu(Isa::PORTABLE, Pool::alone());
        for &(name, case) in CASES {
            let want = case(&Bench { cpu: &plain, edge: Edge::End, numbers }, size);
            for isa in Isa::all() {
                let cpu = cpu(isa, three_threads());
                let got = case(&Bench { cpu: &cpu, edge: Edge::End, numbers }, size);
                assert_twins(&format!("{name} {size:?} {numbers:?} {}", isa.word()), &got, &want, 2e-3);
            }
        }
    }

    #[test]
    fn products_are_their_definition(size in size(), scale in prop_oneof![Just(1.0f32), Just(1e15), Just(1e-38)], nan in any::<bool>()) {
        let Size { a: rows, b: depth, c: columns, gap, seed } = size;
        let stride = depth + gap;
        let mut x: Vec<f32> = noise((rows - 1) * stride + depth, seed).iter().map(|v| v * scale).collect();
        if nan {
            let place = seed as usize % x.len();
            x[place] = f32::NAN;
        }
        let weight: Vec<f32> = noise(columns * depth, seed + 1).iter().map(|v| v * scale).collect();
        for isa in Isa::all() {
            let linear = Linear::new(Packed::from_linear(isa, &weight, columns, depth), None, Activation::None);
            let mut out = vec![0.0; rows * columns];
            let to = RowsMut::dense(&mut out, columns);
            linear.run(three_threads(), rows, Rows { values: &x, stride }, Start::Zero, to);
            for (index, got) in out.into_iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms = (0..depth).map(|k| f64::from(x[row * stride + k]) * f64::from(weight[column * depth + k]));
                let (want, most) = terms.fold((0.0, 0.0), |(sum, most), term| (sum + term, most + term.abs()));
                // Below the smallest f32 each term may vanish.
                let allowed = most * 1e-6 + depth as f64 * 2e-45;
                let close = (f64::from(got) - want).abs() <= allowed;
                prop_assert!(close || (want.is_nan() && got.is_nan()), "{} {got} {want}", isa.word());
            }
        }
    }

    #[test]
    fn depthwise_convolutions_are_their_definition(size in size(), nan in any::<bool>()) {
        let Size { a, b: width, c: channels, seed, .. } = size;
        let (height, kernel, stride) = (a % 6 + 1, [3, 5, 7][a % 3], seed as usize % 3 + 1);
        let mut map = noise(height * width * channels, seed);
        if nan {
            let place = seed as usize * 7919 % map.len();
            map[place] = f32::NAN;
        }
        let (weight, bias) = (noise(channels * kernel * kernel, seed + 1), noise(channels, seed + 2));
        let rim = kernel / 2;
        for isa in Isa::all() {
            let depthwise = Depthwise::new(isa, &weight, [channels, kernel], stride, &bias, Activation::None);
            let (out_height, out_width) = depthwise.out_size(height, width);
            let mut out = vec![0.0; out_height * out_width * channels];
            depthwise.run(&cpu(isa, three_threads()), &map, height, width, &mut out);
            for (index, got) in out.into_iter().enumerate() {
                let (pixel, channel) = (index / channels, index % channels);
                let mut want = f64::from(bias[channel]);
                for tap in 0..kernel * kernel {
                    let (y, x) = (pixel / out_width * stride + tap / kernel, pixel % out_width * stride + tap % kernel);
                    if (rim..height + rim).contains(&y) && (rim..width + rim).contains(&x) {
                        let value = map[((y - rim) * width + x - rim) * channels + channel];
                        want += f64::from(value) * f64::from(weight[channel * kernel * kernel + tap]);
                    }
                }
                let close = (f64::from(got) - want).abs() <= 1e-4;
                prop_assert!(close || (want.is_nan() && got.is_nan()), "{} {got} {want}", isa.word());
            }
        }
    }

    #[test]
    fn norms_are_their_definition(size in size(), scale in prop_oneof![Just(1.0f32), Just(1e15), Just(1e-38)], nan in any::<bool>()) {
        let Size { a: rows, b: channels, seed, .. } = size;
        let mut x: Vec<f32> = noise(rows * channels, seed).iter().map(|v| v * scale).collect();
        if nan {
            let place = seed as usize % x.len();
            x[place] = f32::NAN;
        }
        let (weight, bias) = (noise(channels, seed + 1), noise(channels, seed + 2));
        for isa in Isa::all() {
            let norm = LayerNorm::new(isa, &weight, &bias, 1e-2, Activation::None);
            let mut out = vec![0.0; rows * channels];
            let to = RowsMut::dense(&mut out, channels);
            norm.run(three_threads(), rows, Rows::dense(&x, channels), to);
            for (row, got) in x.chunks_exact(channels).zip(out.chunks_exact(channels)) {
                let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / channels as f64;
                let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / channels as f64;
                for channel in 0..channels {
                    let normed = (f64::from(row[channel]) - mean) / (variance + 1e-2).sqrt();
                    let want = normed * f64::from(weight[channel]) + f64::from(bias[channel]);
                    let close = (f64::from(got[channel]) - want).abs() <= 1e-3;
                    prop_assert!(close || (want.is_nan() && got[channel].is_nan()), "{} {}", got[channel], want);
                }
            }
        }
    }
}

/// Large enough to be cut into tasks.
#[test]
#[cfg_attr(miri, ignore = "millions of multiplications")]
fn results_do_not_depend_on_the_number_of_threads() {
    let sizes = [Size { a: 150, b: 61, c: 90, gap: 1, seed: 4 }, Size { a: 131, b: 70, c: 75, gap: 0, seed: 5 }];
    let mut sets = Isa::all();
    sets.extend(Isa::best_bf16());
    for (isa, size) in sets.into_iter().flat_map(|isa| sizes.map(|size| (isa, size))) {
        for &(name, case) in CASES {
            let run = |pool| {
                let cpu = cpu(isa, pool);
                case(&Bench { cpu: &cpu, edge: Edge::End, numbers: Numbers::OneNan }, size)
            };
            let (alone, together) = (run(Pool::alone()), run(three_threads()));
            assert_twins(&format!("{name} on {}", isa.word()), &together, &alone, 0.0);
        }
    }
}
