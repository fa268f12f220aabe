//! Weights, pictures and mask prompts from a counter: the same numbers as `tests/golden/make_sam_golden.py` makes, bit for
//! bit, so that no weights are committed. Used by the parity tests of SAM, here and in the library.
//!
//! Invariant: a tensor's numbers depend on its original name and its shape alone. A change here is a change there, and
//! all golden files are made anew.

use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A named tensor in memory.
pub struct Named {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

pub fn golden_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// splitmix64, started from a name.
fn splitmix(name: &str) -> impl Iterator<Item = u64> + use<> {
    let seed = fnv1a(name);
    (1u64..).map(move |index| {
        let z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// Numbers in -1..1, multiples of 2^-23.
pub fn unit(name: &str, count: usize) -> Vec<f32> {
    splitmix(name).take(count).map(|z| (z >> 40) as f32 * (1.0 / 8_388_608.0) - 1.0).collect()
}

/// The weight of this name: matrices and kernels by fan-in, norms around 1, biases small, tables by half.
pub fn counted(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut values = unit(name, shape.iter().product());
    let tables =
        ["pos_embed", "rel_pos_h", "rel_pos_w", "attention_biases", "_embed.weight", "_token.weight", "_tokens.weight"];
    let is_table = tables.iter().any(|end| name.ends_with(end)) || name.contains("point_embeddings");
    let (factor, offset): (f32, f32) = if shape.len() <= 1 {
        if name.ends_with("weight") || name.ends_with("running_var") { (0.25, 1.0) } else { (0.1, 0.0) }
    } else if name.ends_with("gaussian_matrix") {
        (1.0, 0.0)
    } else if is_table {
        (0.5, 0.0)
    } else {
        let fan_in: usize = shape[1..].iter().product();
        ((3.0 / fan_in as f64).sqrt() as f32, 0.0)
    };
    values.iter_mut().for_each(|value| *value = offset + factor * *value);
    values
}

/// RGB, `[height, width, 3]`: three gradients, a disc of the opposite brightness, and noise of 0..=31.
pub fn picture(width: u32, height: u32) -> Vec<u8> {
    let (w, h) = (i64::from(width), i64::from(height));
    let (cx, cy, r) = (w * 2 / 5, h / 2, w.min(h) / 4);
    let mut noise = splitmix(&format!("picture {width}x{height}")).map(|z| (z >> 59) as i64);
    let mut rgb = Vec::with_capacity((w * h * 3) as usize);
    for y in 0..h {
        for x in 0..w {
            let inside = (x - cx).pow(2) + (y - cy).pow(2) < r * r;
            for base in [x * 223 / w, y * 223 / h, (x + y) * 223 / (w + h)] {
                let base = if inside { 223 - base } else { base };
                rgb.push((base + noise.next().expect("the counter never ends")) as u8);
            }
        }
    }
    rgb
}

/// Low-res logits of a soft disc, +-10 far from its rim, `[side, side]`.
pub fn mask_prompt(side: i64) -> Vec<f32> {
    let logit = |x: i64, y: i64| {
        let distance2 = (5 * x - 2 * side).pow(2) + (5 * y - 2 * side).pow(2);
        ((side * side - distance2) as f32 / (side * 4) as f32).clamp(-10.0, 10.0)
    };
    (0..side).flat_map(|y| (0..side).map(move |x| logit(x, y))).collect()
}

/// A table of `sam.names.json`.
fn names_table<T: serde::de::DeserializeOwned>(part: &str) -> BTreeMap<String, T> {
    let text = std::fs::read_to_string(golden_path("sam.names.json")).expect("the golden names are in the clone");
    let mut all: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    serde_json::from_value(all[part].take()).expect("the part is a table")
}

/// All tensors of a model, `vit` or `mobile_sam`, under their original names.
pub fn model(part: &str) -> Vec<Named> {
    let named = |(name, shape): (String, Vec<usize>)| {
        let values = counted(&name, &shape);
        Named { name, shape, values }
    };
    names_table::<Vec<usize>>(part).into_iter().map(named).collect()
}

/// Original name to Hugging Face's, for the tensors of `vit`.
#[allow(dead_code, reason = "the library's own tests do not need it")]
pub fn hugging_face_names() -> BTreeMap<String, String> {
    names_table("hugging_face")
}

/// A safetensors file of f32 tensors.
pub fn safetensors_bytes(tensors: &[Named]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).expect("as many bytes as the shape says");
        (tensor.name.clone(), view)
    });
    safetensors::serialize(views, None).expect("names are unique")
}

/// A golden file in memory.
pub struct Golden(Vec<u8>);

impl Golden {
    pub fn open(file: &str) -> Self {
        Self(std::fs::read(golden_path(file)).expect("the golden file is in the clone"))
    }

    /// The shape and bytes of a tensor.
    pub fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let file = safetensors::SafeTensors::deserialize(&self.0).expect("a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    /// The shape and numbers of an f32 tensor.
    pub fn floats(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (shape, bytes) = self.bytes(name);
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(floats.len(), shape.iter().product::<usize>(), "{name} holds f32");
        (shape, floats)
    }
}

/// Fails unless all numbers lie within `tolerance` of the expected ones; returns the largest difference.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}: number of values");
    // Not `max`, which passes over NaN.
    let largest = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0f32, |m, d| if d <= m { m } else { d });
    let scale = want.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    eprintln!("{what}: largest difference {largest:.2e} of {tolerance:.0e}, values up to {scale:.2}");
    assert!(largest <= tolerance, "{what}: differs by {largest}, at most {tolerance} is allowed");
    largest
}
