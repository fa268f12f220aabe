//! SAM's weights files: the layouts that are read, the ones that are refused, and what an embedding is on the disk.

use crate::counter_weights::{Named, hugging_face_names, mask_prompt, model, picture, safetensors_bytes};
use crate::sam_parity::open_model;
use maskwright::atomic_file::write_atomically;
use maskwright::geometry::PixelRect;
use maskwright::inference::{
    CancelToken, DecodeQuery, Embedding, EncodeControl, InferenceError, LabeledPoint, MaskOutput, ModelChoice,
    PointLabel, Segmenter, open_segmenter,
};
use std::path::Path;

const SIDE: (u32, u32) = (48, 32);

fn encode(segmenter: &dyn Segmenter) -> Embedding {
    let view = segmenter.prepare(&picture(SIDE.0, SIDE.1), SIDE.0, SIDE.1, PixelRect::of_size(SIDE.0, SIDE.1)).unwrap();
    segmenter.encode(&view, &EncodeControl::default()).unwrap()
}

fn query(with_mask: bool) -> DecodeQuery {
    DecodeQuery {
        points: vec![LabeledPoint { x: 100.0, y: 80.0, label: PointLabel::Include }],
        previous: with_mask.then(|| mask_prompt(80).into()),
        multimask: true,
    }
}

fn answer(segmenter: &dyn Segmenter) -> Vec<MaskOutput> {
    let embedding = encode(segmenter);
    let mut outputs = segmenter.decode(&embedding, &query(false)).unwrap();
    outputs.extend(segmenter.decode(&embedding, &query(true)).unwrap());
    outputs
}

fn renamed(rename: impl Fn(&str) -> String) -> Vec<Named> {
    model("vit").into_iter().map(|tensor| Named { name: rename(&tensor.name), ..tensor }).collect()
}

fn hugging_face() -> Vec<Named> {
    let names = hugging_face_names();
    renamed(|name| names[name].clone())
}

/// The error of opening a file with these bytes.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.safetensors");
    write_atomically(&path, |w| w.write_all(bytes)).unwrap();
    refusal_of(&path)
}

fn refusal_of(path: &Path) -> String {
    match open_segmenter(&ModelChoice::Path(path.to_path_buf())) {
        Err(error @ InferenceError::Weights { .. }) => error.to_string(),
        Err(error) => panic!("an error about the weights, not: {error}"),
        Ok(segmenter) => panic!("opened as {}", segmenter.info().id),
    }
}

#[test]
fn every_layout_gives_the_same_answer() {
    let original = answer(&*open_model(&safetensors_bytes(&model("vit"))));
    let mut with_copy = hugging_face();
    let shared = with_copy.iter().find(|t| t.name.starts_with("shared_image_embedding")).unwrap();
    let copy = Named {
        name: "prompt_encoder.shared_embedding.positional_embedding".to_owned(),
        shape: shared.shape.clone(),
        values: shared.values.clone(),
    };
    with_copy.push(copy);
    let only_copy: Vec<Named> = with_copy
        .iter()
        .filter(|t| !t.name.starts_with("shared_image_embedding"))
        .map(|t| Named { name: t.name.clone(), shape: t.shape.clone(), values: t.values.clone() })
        .collect();
    for (layout, tensors) in [
        ("Hugging Face", hugging_face()),
        ("Hugging Face, tied tensor stored twice", with_copy),
        ("Hugging Face, tied tensor under its other name", only_copy),
        ("original under module.", renamed(|name| format!("module.{name}"))),
        ("original under sam.", renamed(|name| format!("sam.{name}"))),
    ] {
        assert_eq!(answer(&*open_model(&safetensors_bytes(&tensors))), original, "{layout}");
    }
}

#[test]
fn a_folder_is_opened_by_its_one_weights_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| write_atomically(&folder.path().join(name), |w| w.write_all(bytes)).unwrap();
    assert!(refusal_of(folder.path()).contains("holds nothing, expected a model.safetensors"));
    file("pytorch_model.bin", b"PK\x03\x04");
    let text = refusal_of(folder.path());
    assert!(text.contains("holds pytorch_model.bin, expected a model.safetensors"), "{text}");
    file("model.safetensors.index.json", b"{}");
    assert!(refusal_of(folder.path()).contains("in several shards"));
    file("model.safetensors", &safetensors_bytes(&hugging_face()));
    let opened = open_segmenter(&ModelChoice::Path(folder.path().to_path_buf())).unwrap();
    assert!(opened.info().name.contains("model.safetensors"), "{}", opened.info().name);
}

#[test]
fn bad_files_are_refused_with_found_expected_and_next_step() {
    let changed = |change: &dyn Fn(&mut Vec<Named>)| {
        let mut tensors = model("vit");
        change(&mut tensors);
        refusal(&safetensors_bytes(&tensors))
    };
    let at = |tensors: &[Named], name: &str| tensors.iter().position(|t| t.name == name).unwrap();
    let whole = safetensors_bytes(&model("vit"));

    let text = refusal(&whole[..whole.len() - 1000]);
    assert!(text.contains("cut off or damaged"), "{text}");
    let text = refusal(b"\x80\x02}q\x00.");
    assert!(text.contains("pickle") && text.contains("never reads them"), "{text}");

    let text = changed(&|tensors| tensors.retain(|t| t.name != "mask_decoder.transformer.norm_final_attn.bias"));
    assert!(text.contains("has no tensor mask_decoder.transformer.norm_final_attn.bias, expected one of shape [256]"));
    let text = changed(&|tensors| tensors.retain(|t| t.name != "image_encoder.pos_embed"));
    assert!(text.contains("has no tensor image_encoder.pos_embed"), "{text}");
    let text = changed(&|tensors| tensors.retain(|t| !t.name.starts_with("image_encoder.blocks.1.")));
    assert!(text.contains("tensors that a plain SAM does not have, such as image_encoder.blocks.2."), "{text}");

    let text = changed(&|tensors| {
        let index = at(tensors, "mask_decoder.mask_tokens.weight");
        tensors[index].shape = vec![2, 512];
    });
    assert!(text.contains("mask_tokens.weight has shape [2, 512], expected [4, 256]"), "{text}");
    let text = changed(&|tensors| {
        let index = at(tensors, "image_encoder.blocks.0.attn.rel_pos_h");
        tensors[index].shape = vec![16, 27];
    });
    assert!(text.contains("rel_pos_h has shape [16, 27], expected [2 * window - 1, channels of a head]"), "{text}");
    let text = changed(&|tensors| {
        let index = at(tensors, "image_encoder.neck.1.bias");
        tensors[index].values[3] = f32::NAN;
    });
    assert!(text.contains("image_encoder.neck.1.bias holds 1 values that are NaN"), "{text}");

    let text = changed(&|tensors| {
        let token = Named { name: "mask_decoder.hf_token.weight".into(), shape: vec![1, 256], values: vec![0.0; 256] };
        tensors.push(token);
    });
    assert!(text.contains("such as mask_decoder.hf_token.weight") && text.contains("SAM-HQ"), "{text}");
    let text = changed(&|tensors| tensors.retain(|t| !t.name.starts_with("mask_decoder.")));
    assert!(text.contains("expected those of a SAM") && text.contains("image_encoder.blocks.0"), "{text}");
    let text = changed(&|tensors| tensors.retain(|t| !t.name.starts_with("image_encoder.patch_embed")));
    assert!(text.contains("expected those of a SAM"), "{text}");
    let text = changed(&|tensors| {
        let twice: Vec<Named> =
            model("vit").into_iter().map(|t| Named { name: format!("ema.{}", t.name), ..t }).collect();
        tensors.extend(twice);
    });
    assert!(text.contains("holds 2 SAM models"), "{text}");
    assert!(text.contains("refused.safetensors"), "the file is named: {text}");
}

#[test]
fn an_embedding_survives_the_disk_and_belongs_to_its_model() {
    let segmenter = open_model(&safetensors_bytes(&model("vit")));
    let embedding = encode(&*segmenter);
    let bytes = segmenter.store_embedding(&embedding).unwrap();
    assert!(bytes.len() < 400 * 256 * 2 + 512, "{} bytes are more than f16 takes", bytes.len());
    let restored = segmenter.restore_embedding(&bytes).unwrap();
    assert_eq!(restored.byte_size, embedding.byte_size);
    let (fresh, again) =
        (segmenter.decode(&embedding, &query(false)).unwrap(), segmenter.decode(&restored, &query(false)).unwrap());
    assert_eq!(fresh, again, "a mask does not tell where its embedding came from");

    let mut other = model("vit");
    other[0].values[0] += 1.0;
    let other = open_model(&safetensors_bytes(&other));
    assert!(matches!(other.restore_embedding(&bytes), Err(InferenceError::StoredEmbedding(_))));
    assert!(matches!(other.decode(&embedding, &query(false)), Err(InferenceError::StoredEmbedding(_))));
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..7], b"", b"not an embedding at all"] {
        assert!(matches!(segmenter.restore_embedding(damaged), Err(InferenceError::StoredEmbedding(_))));
    }
    let mut nan = bytes.clone();
    let end = nan.len();
    nan[end - 2..].copy_from_slice(&0x7E00u16.to_le_bytes());
    assert!(matches!(segmenter.restore_embedding(&nan), Err(InferenceError::StoredEmbedding(_))));
}

#[test]
fn encoding_stops_on_request_and_bad_questions_are_refused() {
    let segmenter = open_model(&safetensors_bytes(&model("vit")));
    let view = segmenter.prepare(&picture(SIDE.0, SIDE.1), SIDE.0, SIDE.1, PixelRect::of_size(SIDE.0, SIDE.1)).unwrap();
    let cancel = CancelToken::default();
    let stop_after_one = {
        let cancel = cancel.clone();
        move |_| cancel.cancel()
    };
    let control = EncodeControl { cancel, progress: Some(&stop_after_one) };
    assert!(matches!(segmenter.encode(&view, &control), Err(InferenceError::Cancelled)));

    let mut foreign = view.clone();
    foreign.frame.input_side = 1024;
    assert!(matches!(segmenter.encode(&foreign, &EncodeControl::default()), Err(InferenceError::Prompt(_))));

    let embedding = segmenter.encode(&view, &EncodeControl::default()).unwrap();
    assert!(matches!(segmenter.decode(&embedding, &DecodeQuery::default()), Err(InferenceError::Prompt(_))));
    let short = DecodeQuery { previous: Some(vec![0.0; 64].into()), ..DecodeQuery::default() };
    let text = segmenter.decode(&embedding, &short).unwrap_err().to_string();
    assert!(text.contains("64 logits, expected 80 x 80"), "{text}");
    let nan = DecodeQuery { previous: Some(vec![f32::NAN; 6400].into()), ..query(false) };
    assert!(matches!(segmenter.decode(&embedding, &nan), Err(InferenceError::NotANumber { .. })));
}
