//! The image tower against transformers' answers, and the kernels against candle.

use super::*;
use crate::inference::device::{Engine, Precision};
use crate::inference::sam::parity::counter_weights::{Golden, Named, assert_close, counted, safetensors_bytes, unit};
use crate::kernels::Cpu;
use crate::kernels::Isa;
use candle_core::Device;

const WHOLE: f32 = 1e-5;

/// The tower of `tests/golden/make_clip_golden.py`.
const SMALL: ClipImageConfig =
    ClipImageConfig { dim: 128, heads: 2, hidden: 256, layers: 2, patch: 8, grid: 5, outputs: 32 };

/// All tensors of a tower in Hugging Face's layout.
fn tensors(config: &ClipImageConfig) -> Vec<Named> {
    let ClipImageConfig { dim, hidden, patch, outputs, .. } = *config;
    let mut shapes = vec![
        ("vision_model.embeddings.class_embedding".to_owned(), vec![dim]),
        ("vision_model.embeddings.patch_embedding.weight".to_owned(), vec![dim, 3, patch, patch]),
        ("vision_model.embeddings.position_embedding.weight".to_owned(), vec![config.tokens(), dim]),
        ("visual_projection.weight".to_owned(), vec![outputs, dim]),
    ];
    let mut layer = |name: String, shape: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
        shapes.push((format!("{name}.weight"), shape));
    };
    layer("vision_model.pre_layrnorm".to_owned(), vec![dim]);
    layer("vision_model.post_layernorm".to_owned(), vec![dim]);
    for index in 0..config.layers {
        let name = |part: &str| format!("vision_model.encoder.layers.{index}.{part}");
        for part in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"] {
            layer(name(part), vec![dim, dim]);
        }
        layer(name("layer_norm1"), vec![dim]);
        layer(name("layer_norm2"), vec![dim]);
        layer(name("mlp.fc1"), vec![hidden, dim]);
        layer(name("mlp.fc2"), vec![dim, hidden]);
    }
    let named = |(name, shape): (String, Vec<usize>)| Named { values: counted(&name, &shape), name, shape };
    shapes.into_iter().map(named).collect()
}

fn weights(tensors: &[Named]) -> Weights {
    Weights::from_bytes("clip".into(), safetensors_bytes(tensors), &Device::Cpu).unwrap()
}

fn open(tensors: &[Named], engine: Engine) -> Result<ClipImageTower, InferenceError> {
    ClipImageTower::from_weights(&weights(tensors), &ComputeDevice::cpu_with(engine, Precision::F32))
}

#[test]
fn both_towers_match_transformers() {
    let golden = Golden::open("clip-image.golden.safetensors");
    let want = golden.floats("image_embeds").1;
    let weights = weights(&tensors(&SMALL));
    assert_eq!(ClipImageConfig::from_shapes(&weights).unwrap(), SMALL);
    let planes = unit("clip planes", 3 * 3 * 40 * 40);
    let plain = plain::Tower::load(&weights, SMALL).unwrap();
    assert_close("candle", &plain.forward(&planes, 3).unwrap(), &want, WHOLE);
    for isa in Isa::all() {
        let tower = cpu::Tower::load(&weights, SMALL, Cpu { isa, ..Cpu::new() }).unwrap();
        let features = tower.forward(&planes, 3);
        assert_close(isa.word(), &features, &want, WHOLE);
        // A picture's features do not depend on the pictures beside it.
        assert_eq!(tower.forward(&planes[3 * 40 * 40..2 * 3 * 40 * 40], 1), features[32..64]);
    }
}

#[test]
fn features_have_length_one_and_wrong_sizes_are_refused() {
    for engine in [Engine::Ours, Engine::Candle] {
        let tower = open(&tensors(&SMALL), engine).unwrap();
        assert_eq!((tower.config().input_side(), tower.config().outputs), (40, 32));
        let planes = unit("clip planes", 2 * 3 * 40 * 40);
        let (features, raw) = (tower.embed(&planes, 2).unwrap(), tower.embed_raw(&planes, 2).unwrap());
        for (row, raw) in features.chunks(32).zip(raw.chunks(32)) {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            assert!((dot(row, row) - 1.0).abs() < 1e-6);
            assert!((dot(row, raw) - dot(raw, raw).sqrt()).abs() < 1e-5, "the direction is the same");
        }
        let error = tower.embed(&planes, 3).unwrap_err().to_string();
        assert!(error.contains("expected 14400"), "{error}");
        let error = tower.embed(&vec![f32::NAN; 4800], 1).unwrap_err();
        assert!(matches!(error, InferenceError::NotANumber { .. }), "{error}");
        assert!(tower.embed(&[], 0).unwrap().is_empty());
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let refused = |change: fn(&mut Vec<Named>)| {
        let mut tensors = tensors(&SMALL);
        change(&mut tensors);
        open(&tensors, Engine::Ours).err().expect("refused").to_string()
    };
    let error = refused(|tensors| tensors.retain(|t| t.name != "visual_projection.weight"));
    assert!(error.contains("has no tensor visual_projection.weight"), "{error}");
    let error = refused(|tensors| tensors.retain(|t| !t.name.ends_with("layers.1.mlp.fc2.bias")));
    assert!(error.contains("layers.1.mlp.fc2.bias"), "{error}");
    let error = refused(|tensors| {
        let kernel = tensors.iter_mut().find(|t| t.name.ends_with("patch_embedding.weight")).unwrap();
        kernel.shape = vec![64, 6, 8, 8];
    });
    assert!(error.contains("expected [channels, 3, 32, 32]"), "{error}");
    // As wide as a tower whose heads are not 64 channels wide.
    let error = refused(|tensors| {
        let kernel = tensors.iter_mut().find(|t| t.name.ends_with("patch_embedding.weight")).unwrap();
        (kernel.shape, kernel.values) = (vec![1280, 3, 1, 1], vec![0.0; 3840]);
    });
    assert!(error.contains("heads of 64"), "{error}");
}
