//! Sizes that no slice can have are refused before any pointer is made of them: products of sizes that wrap around must
//! not pass for small ones. And sizes that once went wrong.

use super::super::layout::planes_from_rows;
use super::super::testing::noise;
use super::super::{
    Activation, Attention, Convolution, Cpu, CrossHeads, Depthwise, Enlarge, Groups, Heads, Isa, LayerNorm, Linear,
    Packed, Pool, Positions, Rows, RowsMut, Start,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Half of all numbers: twice this is 0 for arithmetic that wraps around.
const HALF: usize = 1 << (usize::BITS - 1);

#[test]
fn sizes_beyond_any_memory_are_refused() {
    let (isa, cpu) = (Isa::PORTABLE, Cpu { isa: Isa::PORTABLE, ..Cpu::new() });
    let linear = || Linear::new(Packed::new(isa, 1, 1, |_, _| 1.0), None, Activation::None);
    let depthwise = || Depthwise::new(isa, &[1.0; 9], [1, 3], 1, &[0.0], Activation::None);
    let four = [1.0; 4];
    let tries: &[(&str, &dyn Fn())] = &[
        ("stride of an input", &|| {
            let x = Rows { values: &four, stride: HALF };
            linear().run(cpu.pool, 3, x, Start::Zero, RowsMut::dense(&mut [0.0; 3], 1));
        }),
        ("stride of an output", &|| {
            let out = RowsMut { values: &mut [0.0; 4], stride: HALF };
            linear().run_here(3, Rows::dense(&four, 1), Start::Zero, out);
        }),
        ("stride of a start", &|| {
            let start = Start::Other(Rows { values: &four, stride: HALF });
            linear().run_here(3, Rows::dense(&four, 1), start, RowsMut::dense(&mut [0.0; 3], 1));
        }),
        ("rows of a norm", &|| {
            let norm = LayerNorm::new(isa, &four, &four, 1e-5, Activation::None);
            norm.run_in_place(cpu.pool, 3, RowsMut { values: &mut [0.0; 4], stride: HALF });
        }),
        ("height of a map", &|| depthwise().run(&cpu, &[], HALF, 2, &mut [])),
        ("height of a row's map", &|| depthwise().run_row(&[], HALF, 0, &mut [0.0; 2])),
        ("surroundings", &|| {
            let convolution = Convolution::new(isa, &[1.0; 9], [1, 1, 3], 2, None, Activation::None);
            let out = RowsMut::dense(&mut [], 1);
            convolution.run_on_surroundings(cpu.pool, &four, HALF, [HALF + 1, 1], Start::Zero, out);
        }),
        ("heads of attention", &|| {
            let heads = Heads { count: HALF, depth: 2, query: 0, key: 0, value: 0, step: 0 };
            let layer = Attention::new(isa, heads, Positions::None);
            let out = RowsMut::dense(&mut [], 0);
            layer.run(&cpu, Rows::dense(&four, 2), &Groups::consecutive(1, 1), None, out);
        }),
        ("heads' channels", &|| {
            CrossHeads::new(isa, 16, HALF);
        }),
        ("columns of weights", &|| {
            let heads = CrossHeads::new(isa, 4, 4);
            heads.weigh(&[], HALF >> 1, Rows::dense(&[0.0; 64], 16), 4, &mut []);
        }),
        ("cells", &|| {
            let norm = LayerNorm::new(isa, &[1.0], &[1.0], 1e-5, Activation::None);
            let enlarge = Enlarge::new(isa, [0, 1, 1], (&[], &[0.0]), norm, (&[1.0; 4], &[0.0]));
            enlarge.masks(&cpu, [HALF >> 3, 1], Rows::dense(&[], 0), None, &[1.0], &mut []);
        }),
        ("a row's number", &|| {
            Groups::new(1, [Some(u32::MAX as usize)]);
        }),
    ];
    for (what, attempt) in tries {
        assert!(catch_unwind(AssertUnwindSafe(attempt)).is_err(), "{what}");
    }
}

#[test]
fn large_maps_become_planes() {
    let pixels = 70_001;
    let rows = noise(2 * pixels, 1);
    let mut planes = vec![0.0; rows.len()];
    planes_from_rows(Pool::alone(), &rows, 2, &mut planes);
    assert!((0..pixels).all(|p| planes[p] == rows[2 * p] && planes[pixels + p] == rows[2 * p + 1]));
}
