//! Which SAM a weights file holds, told by its keys: the original layout, Hugging Face's or MobileSAM's, each perhaps
//! under a prefix. The models below know the original names only.
//!
//! Invariant: a file is taken whole or refused. A tensor that no part of the model asked for means another variant (such
//! as SAM-HQ), whose answers would not be this model's.
//! Source of the Hugging Face names: transformers, `models/sam/convert_sam_to_hf.py`.

use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use std::path::{Path, PathBuf};

/// In every SAM of every layout; what stands before it is the prefix.
const ANCHOR: &str = "mask_decoder.iou_token.weight";
const POSITIONS: &str = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";
/// transformers' names for it. The two are tied; a file may hold either or both.
const SHARED_POSITIONS: &str = "shared_image_embedding.positional_embedding";
const SHARED_POSITIONS_COPY: &str = "prompt_encoder.shared_embedding.positional_embedding";

/// The kind of image encoder in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncoderKind {
    /// Plain ViT: SAM's own B, L, H, and slimmed ones.
    Vit,
    /// MobileSAM's.
    TinyVit,
}

/// Whether these weights mean to be a SAM, complete or not.
pub(super) fn looks_like_sam(weights: &Weights) -> bool {
    let parts = ["image_encoder.", "vision_encoder.", "mask_decoder.", "prompt_encoder."];
    weights.names().any(|name| parts.iter().any(|part| name.contains(part)))
}

/// The weights under their original names, and the image encoder they are for.
///
/// # Errors
/// A layout that is none of the known ones; the text lists what was found and what was expected.
pub(super) fn recognise(weights: Weights) -> Result<(Weights, EncoderKind), InferenceError> {
    let prefixes: Vec<&str> = weights
        .names()
        .filter_map(|name| name.strip_suffix(ANCHOR))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    let prefix = match prefixes.as_slice() {
        [prefix] => (*prefix).to_owned(),
        [] => return Err(unknown(&weights)),
        several => {
            return Err(weights.refuse(format!(
                "holds {} SAM models, under the prefixes {several:?}, expected one; save the one you want by itself",
                several.len()
            )));
        }
    };
    let has = |name: &str| weights.contains(&format!("{prefix}{name}"));
    let hugging_face = has("vision_encoder.patch_embed.projection.weight");
    let kind = if has("image_encoder.patch_embed.seq.0.c.weight") {
        EncoderKind::TinyVit
    } else if hugging_face || has("image_encoder.patch_embed.proj.weight") {
        EncoderKind::Vit
    } else {
        return Err(unknown(&weights));
    };
    let both_shared = has(SHARED_POSITIONS) && has(SHARED_POSITIONS_COPY);
    let renamed = weights.renamed(|full| match full.strip_prefix(&prefix) {
        Some(SHARED_POSITIONS_COPY) if both_shared => SHARED_POSITIONS_COPY.to_owned(),
        Some(name) if hugging_face => original_name(name),
        Some(name) => name.to_owned(),
        None => full.to_owned(),
    })?;
    Ok((renamed, kind))
}

/// Refuses a file with tensors that the model did not use, after it was built.
///
/// # Errors
/// Surplus tensors, with a few of their names.
pub(super) fn refuse_surplus(weights: &Weights) -> Result<(), InferenceError> {
    let surplus: Vec<String> = weights.unused().into_iter().filter(|name| !is_known_surplus(name)).collect();
    let Some(first) = surplus.first() else { return Ok(()) };
    Err(weights.refuse(format!(
        "holds {} tensors that a plain SAM does not have, such as {first}; it is a variant that is not supported (SAM-HQ \
         or another): choose a SAM ViT-B, L, H or MobileSAM file",
        surplus.len()
    )))
}

/// Tensors that checkpoints carry and no SAM needs, and those of other models in the same file.
fn is_known_surplus(name: &str) -> bool {
    let ours = ["image_encoder.", "prompt_encoder.", "mask_decoder."].iter().any(|part| name.starts_with(part));
    // MobileSAM keeps TinyViT's classifier and tables that follow from the window's size.
    let ignored = name.starts_with("image_encoder.norm_head.")
        || name.starts_with("image_encoder.head.")
        || [".num_batches_tracked", ".attention_bias_idxs", ".attn.ab"].iter().any(|end| name.ends_with(end));
    !ours || ignored || name == SHARED_POSITIONS_COPY
}

fn unknown(weights: &Weights) -> InferenceError {
    let names: Vec<&str> = weights.names().collect();
    let found = names.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let hint = if names.iter().any(|name| name.contains("memory_attention") || name.contains("sam_mask_decoder")) {
        " It seems to be SAM 2, which is not supported."
    } else {
        ""
    };
    weights.refuse(format!(
        "holds {} tensors ({found}, ...), expected those of a SAM: image_encoder.* (original layout or MobileSAM) or \
         vision_encoder.* (Hugging Face), with prompt_encoder.* and mask_decoder.*.{hint} Choose a SAM ViT-B, L, H or \
         MobileSAM file",
        names.len()
    ))
}

/// Hugging Face's name to the original one.
fn original_name(name: &str) -> String {
    if name == SHARED_POSITIONS || name == SHARED_POSITIONS_COPY {
        return POSITIONS.to_owned();
    }
    let Some((part, rest)) = name.split_once('.') else { return name.to_owned() };
    let rest = rest.replace("layer_norm_final_attn", "norm_final_attn");
    match part {
        "vision_encoder" => {
            let rest = renamed(
                &rest,
                &[
                    ("layers.", "blocks."),
                    ("patch_embed.projection.", "patch_embed.proj."),
                    ("neck.conv1.", "neck.0."),
                    ("neck.layer_norm1.", "neck.1."),
                    ("neck.conv2.", "neck.2."),
                    ("neck.layer_norm2.", "neck.3."),
                ],
            );
            format!("image_encoder.{}", rest.replace(".layer_norm", ".norm"))
        }
        "prompt_encoder" => {
            let rest = renamed(
                &rest,
                &[
                    ("point_embed.", "point_embeddings."),
                    ("mask_embed.conv1.", "mask_downscaling.0."),
                    ("mask_embed.layer_norm1.", "mask_downscaling.1."),
                    ("mask_embed.conv2.", "mask_downscaling.3."),
                    ("mask_embed.layer_norm2.", "mask_downscaling.4."),
                    ("mask_embed.conv3.", "mask_downscaling.6."),
                ],
            );
            format!("prompt_encoder.{rest}")
        }
        "mask_decoder" => {
            let rest = renamed(
                &rest,
                &[
                    ("upscale_conv1.", "output_upscaling.0."),
                    ("upscale_layer_norm.", "output_upscaling.1."),
                    ("upscale_conv2.", "output_upscaling.3."),
                ],
            );
            format!("mask_decoder.{}", three_layers(&rest).replace(".layer_norm", ".norm"))
        }
        _ => name.to_owned(),
    }
}

/// Replaces the first of the starts that fits.
fn renamed(name: &str, starts: &[(&str, &str)]) -> String {
    let fitting = starts.iter().find_map(|(from, to)| Some((name.strip_prefix(from)?, to)));
    fitting.map_or_else(|| name.to_owned(), |(rest, to)| format!("{to}{rest}"))
}

/// The layers of a three-layer head: `proj_in`, `layers.0`, `proj_out` become `layers.0`, `layers.1`, `layers.2`.
fn three_layers(name: &str) -> String {
    let is_head = name.starts_with("output_hypernetworks_mlps.") || name.starts_with("iou_prediction_head.");
    if !is_head {
        return name.to_owned();
    }
    name.replace(".layers.0.", ".layers.1.").replace(".proj_in.", ".layers.0.").replace(".proj_out.", ".layers.2.")
}

/// The one weights file that a path means: the file itself, or `model.safetensors` in a folder, or the folder's only
/// safetensors file.
///
/// # Errors
/// A folder with none or several, or with a model in shards; the text lists what is there.
pub(in crate::inference) fn weights_file(path: &Path) -> Result<PathBuf, InferenceError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let refuse = |problem: String| InferenceError::Weights { path: path.to_path_buf(), problem };
    let entries = std::fs::read_dir(path).map_err(|e| refuse(format!("cannot be read: {e}; check its rights")))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    if names.iter().any(|name| name == "model.safetensors") {
        return Ok(path.join("model.safetensors"));
    }
    if names.iter().any(|name| name.ends_with(".safetensors.index.json")) {
        return Err(refuse(
            "holds a model in several shards, expected one model.safetensors; save it again as one file \
             (save_pretrained with a large max_shard_size)"
                .to_owned(),
        ));
    }
    let weights: Vec<&String> = names.iter().filter(|name| name.ends_with(".safetensors")).collect();
    match weights.as_slice() {
        [only] => Ok(path.join(only)),
        [] => {
            let found = if names.is_empty() { "nothing".to_owned() } else { list(&names) };
            Err(refuse(format!("holds {found}, expected a model.safetensors; choose the file or folder of a SAM")))
        }
        several => Err(refuse(format!(
            "holds {} safetensors files and no model.safetensors; choose one of the files",
            several.len()
        ))),
    }
}

/// The first few of some names.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 4 { format!("{shown} and {} more", names.len() - 4) } else { shown }
}
