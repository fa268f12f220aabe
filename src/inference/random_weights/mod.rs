//! Random weights in true shapes, for timing models whose weights are not in the program.
//!
//! Invariant: a tensor's numbers depend on its name and shape alone, are made when the model asks for them and are held
//! nowhere else. They keep activations of every model here near 1: matrices by fan-in, norms around 1, variances above 0.

mod shapes;

use super::weights::Weights;
use candle_core::Device;
pub use shapes::{Shapes, TINY_VIT_5M, VIT_B, VitPlan, clip_vit_b32_image, mobile_sam, sam_vit};

/// Random weights of these shapes; errors and model ids call them `random NAME`.
pub(super) fn random_weights(name: &str, shapes: Shapes, device: &Device) -> Weights {
    Weights::generated(format!("random {name}").into(), shapes, values, device)
}

/// Ends of the names of tables that are looked up by place and not multiplied by: they have no fan-in.
const TABLES: [&str; 9] = [
    "pos_embed",
    "rel_pos_h",
    "rel_pos_w",
    "attention_biases",
    "_embed.weight",
    "_token.weight",
    "_tokens.weight",
    "position_embedding.weight",
    "gaussian_matrix",
];

/// The numbers of the tensor of this name.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let vector = shape.len() <= 1;
    let (offset, reach) = if vector && (name.ends_with("weight") || name.ends_with("running_var")) {
        (1.0, 0.25)
    } else if vector {
        (0.0, 0.1)
    } else if TABLES.iter().any(|end| name.ends_with(end)) || name.contains("point_embeddings") {
        (0.0, 0.5)
    } else {
        let fan_in: usize = shape[1..].iter().product();
        // The variance of numbers in -r..r is r^2 / 3.
        (0.0, (3.0 / fan_in as f32).sqrt())
    };
    units(name).take(shape.iter().product()).map(|unit| offset + reach * unit).collect()
}

/// Numbers in -1..1 from a counter (splitmix64), started by the name's hash (FNV-1a).
fn units(name: &str) -> impl Iterator<Item = f32> + use<> {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325, hash);
    (1u64..).map(move |index| {
        let z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::device::ComputeDevice;
    use crate::inference::sam::Sam;
    use crate::inference::segmenter::Segmenter;
    use std::collections::BTreeMap;

    /// Names and shapes of upstream's modules, made by `tests/golden/make_sam_golden.py`.
    fn upstream(part: &str) -> BTreeMap<String, Vec<usize>> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sam.names.json");
        let mut all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        serde_json::from_value(all[part].take()).unwrap()
    }

    #[test]
    fn names_and_shapes_are_upstreams() {
        // The golden ViT is a small one of the same plan.
        let plan = VitPlan { dim: 32, heads: 2, hidden: 128, grid: 20, windows: &[14, 20, 14] };
        assert_eq!(sam_vit(&plan).into_iter().collect::<BTreeMap<_, _>>(), upstream("vit"));
        assert_eq!(mobile_sam(&TINY_VIT_5M).into_iter().collect::<BTreeMap<_, _>>(), upstream("mobile_sam"));
    }

    #[test]
    fn the_models_have_as_many_parameters_as_published() {
        let count = |shapes: &Shapes, part: &str| -> usize {
            let ours = shapes.iter().filter(|(name, _)| name.starts_with(part) && !name.contains("running_"));
            ours.map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        assert_eq!(count(&sam_vit(&VIT_B), "image_encoder."), 89_670_912);
        assert_eq!(count(&sam_vit(&VIT_B), "mask_decoder."), 4_058_340);
        // The whole image tower of openai/clip-vit-base-patch32 with its projection.
        assert_eq!(count(&clip_vit_b32_image(), ""), 87_849_216);
    }

    #[test]
    fn numbers_are_tame_and_repeat() {
        let matrix = values("a.weight", &[64, 300]);
        assert_eq!(matrix, values("a.weight", &[64, 300]));
        assert_ne!(matrix, values("b.weight", &[64, 300]));
        assert!(matrix.iter().all(|value| value.abs() <= 0.1), "the square root of 3 / 300");
        let mean = matrix.iter().sum::<f32>() / matrix.len() as f32;
        assert!(mean.abs() < 2e-3, "{mean}");
        assert!(values("bn.running_var", &[500]).iter().all(|&value| value > 0.5));
        assert!(values("norm.weight", &[500]).iter().all(|&value| (0.7..1.3).contains(&value)));
    }

    #[test]
    fn a_model_takes_them_as_its_own() {
        let plan = VitPlan { dim: 32, heads: 2, hidden: 128, grid: 20, windows: &[14, 20, 14] };
        let compute = ComputeDevice::cpu();
        let weights = random_weights("small ViT", sam_vit(&plan), &compute.device);
        let model = Sam::from_weights(weights, &compute).unwrap();
        assert_eq!(model.info().input_side, 320);
    }
}
