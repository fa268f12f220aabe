//! The two-way transformer (Segment Anything, Kirillov et al. 2023, §A): tokens attend to each other and to the image,
//! the image attends to the tokens.
//!
//! The image side is kept channel by channel, `[128, cells]`, so its projections are plain products and nothing is
//! transposed. Its positional encoding never changes: `W (image + position) + b` becomes `W image + constant`.

use super::config::WIDTH;
use super::layers::{Layers, TOKEN_NORM_EPS};
use crate::inference::ops::{ChannelNorm, Pointwise, softmax_over_last, softmax_over_middle};
use crate::inference::segmenter::InferenceError;
use crate::kernels::Activation;
use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear, Module};

pub(super) const HEADS: usize = 4;
/// Width inside attention between tokens and image.
pub(super) const CROSS_WIDTH: usize = WIDTH / 2;
pub(super) const MLP_WIDTH: usize = 512;

/// `[tokens, width]` to `[heads, tokens, width / heads]`.
fn split_heads(x: &Tensor) -> candle_core::Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    x.reshape((tokens, HEADS, width / HEADS))?.transpose(0, 1)?.contiguous()
}

/// The inverse of [`split_heads`].
fn join_heads(x: &Tensor) -> candle_core::Result<Tensor> {
    let (heads, tokens, each) = x.dims3()?;
    x.transpose(0, 1)?.contiguous()?.reshape((tokens, heads * each))
}

fn scale_of(width: usize) -> f64 {
    1.0 / ((width / HEADS) as f64).sqrt()
}

/// Tokens attending to each other.
struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl SelfAttention {
    fn load(layers: &Layers<'_>, name: &str) -> Result<Self, InferenceError> {
        let linear = |part: &str| layers.linear(&format!("{name}.{part}"), WIDTH, WIDTH);
        Ok(Self {
            query: linear("q_proj")?,
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            out: linear("out_proj")?,
        })
    }

    fn forward(&self, query: &Tensor, value: &Tensor) -> candle_core::Result<Tensor> {
        let q = split_heads(&(self.query.forward(query)? * scale_of(WIDTH))?)?;
        let k = split_heads(&self.key.forward(query)?)?;
        let v = split_heads(&self.value.forward(value)?)?;
        let shares = softmax_over_last(&q.matmul(&k.t()?)?)?;
        self.out.forward(&join_heads(&shares.matmul(&v)?)?)
    }
}

/// What the image gives to attention: several projections in one product.
struct ImageProjection {
    /// `[projections * 64, 128]`.
    weight: Tensor,
    /// Bias, and the part that the positional encoding adds: `[projections * 64, cells]`.
    constant: Tensor,
}

impl ImageProjection {
    /// `names`: each projection, and whether it sees the positional encoding.
    fn load(layers: &Layers<'_>, names: &[(String, bool)], position: &Tensor) -> Result<Self, InferenceError> {
        let (mut weights, mut constants) = (Vec::new(), Vec::new());
        for (name, sees_position) in names {
            let weight = layers.tensor(&format!("{name}.weight"), &[CROSS_WIDTH, WIDTH])?;
            let bias = layers.tensor(&format!("{name}.bias"), &[CROSS_WIDTH])?.reshape((CROSS_WIDTH, 1))?;
            let constant = if *sees_position {
                weight.matmul(position)?.broadcast_add(&bias)?
            } else {
                bias.broadcast_as((CROSS_WIDTH, position.dim(1)?))?.contiguous()?
            };
            weights.push(weight);
            constants.push(constant);
        }
        Ok(Self { weight: Tensor::cat(&weights, 0)?, constant: Tensor::cat(&constants, 0)? })
    }

    /// Projection `index`, split into heads: `[heads, 16, cells]`.
    fn heads(projected: &Tensor, index: usize) -> candle_core::Result<Tensor> {
        let cells = projected.dim(1)?;
        projected.narrow(0, index * CROSS_WIDTH, CROSS_WIDTH)?.reshape((HEADS, CROSS_WIDTH / HEADS, cells))
    }

    fn forward(&self, image: &Tensor) -> candle_core::Result<Tensor> {
        self.weight.matmul(image)? + &self.constant
    }
}

/// The token side of attention to the image.
struct TokensToImage {
    query: Linear,
    out: Linear,
}

impl TokensToImage {
    fn load(layers: &Layers<'_>, name: &str) -> Result<Self, InferenceError> {
        Ok(Self {
            query: layers.linear(&format!("{name}.q_proj"), CROSS_WIDTH, WIDTH)?,
            out: layers.linear(&format!("{name}.out_proj"), WIDTH, CROSS_WIDTH)?,
        })
    }

    fn forward(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> candle_core::Result<Tensor> {
        let q = split_heads(&(self.query.forward(query)? * scale_of(CROSS_WIDTH))?)?;
        let shares = softmax_over_last(&q.matmul(key)?)?;
        self.out.forward(&join_heads(&shares.matmul(&value.t()?)?)?)
    }
}

/// The token side of the image's attention to tokens.
struct ImageToTokens {
    key: Linear,
    value: Linear,
    out: Pointwise,
}

impl ImageToTokens {
    fn load(layers: &Layers<'_>, name: &str) -> Result<Self, InferenceError> {
        let weight = layers.values(&format!("{name}.out_proj.weight"), &[WIDTH, CROSS_WIDTH])?;
        let bias = layers.values(&format!("{name}.out_proj.bias"), &[WIDTH])?;
        Ok(Self {
            key: layers.linear(&format!("{name}.k_proj"), CROSS_WIDTH, WIDTH)?,
            value: layers.linear(&format!("{name}.v_proj"), CROSS_WIDTH, WIDTH)?,
            out: Pointwise::new(weight, bias, Activation::None, layers.device())?,
        })
    }

    /// `query`: `[heads, 16, cells]`; the result is `image` plus what the tokens say to it, `[128, cells]`.
    fn forward(&self, image: &Tensor, query: &Tensor, keys: &Tensor, values: &Tensor) -> candle_core::Result<Tensor> {
        let k = split_heads(&(self.key.forward(keys)? * scale_of(CROSS_WIDTH))?)?;
        let v = split_heads(&self.value.forward(values)?)?.t()?.contiguous()?;
        let shares = softmax_over_middle(&k.matmul(query)?)?;
        self.out.forward_add(&v.matmul(&shares)?.flatten(0, 1)?, image)
    }
}

/// One block of the transformer.
pub(super) struct TwoWayBlock {
    /// The first block's self attention replaces the tokens instead of adding to them.
    first: bool,
    self_attention: SelfAttention,
    /// Keys and values for the tokens, queries for the image.
    projection: ImageProjection,
    tokens_to_image: TokensToImage,
    image_to_tokens: ImageToTokens,
    mlp: [Linear; 2],
    norms: [LayerNorm; 3],
    image_norm: ChannelNorm,
}

impl TwoWayBlock {
    /// `position`: the image's positional encoding, `[128, cells]`.
    pub(super) fn load(layers: &Layers<'_>, index: usize, position: &Tensor) -> Result<Self, InferenceError> {
        let name = format!("decoder.layers.{index}");
        let (to_image, to_tokens) = (format!("{name}.cross_t2i"), format!("{name}.cross_i2t"));
        let norm = |part: usize| layers.layer_norm(&format!("{name}.norm{part}"), WIDTH);
        let projections = [
            (format!("{to_image}.k_proj"), true),
            (format!("{to_image}.v_proj"), false),
            (format!("{to_tokens}.q_proj"), true),
        ];
        Ok(Self {
            first: index == 0,
            self_attention: SelfAttention::load(layers, &format!("{name}.self_attn"))?,
            projection: ImageProjection::load(layers, &projections, position)?,
            tokens_to_image: TokensToImage::load(layers, &to_image)?,
            image_to_tokens: ImageToTokens::load(layers, &to_tokens)?,
            mlp: [
                layers.linear(&format!("{name}.mlp.0"), MLP_WIDTH, WIDTH)?,
                layers.linear(&format!("{name}.mlp.2"), WIDTH, MLP_WIDTH)?,
            ],
            norms: [norm(1)?, norm(2)?, norm(3)?],
            image_norm: layers.channel_norm(&format!("{name}.norm4"), WIDTH, TOKEN_NORM_EPS, Activation::None)?,
        })
    }

    /// `tokens` and `prompt` (the tokens before the first block): `[tokens, 128]`; `image`: `[128, cells]`.
    pub(super) fn forward(
        &self,
        tokens: &Tensor,
        image: &Tensor,
        prompt: &Tensor,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let attended = if self.first {
            self.self_attention.forward(tokens, tokens)?
        } else {
            (tokens + self.self_attention.forward(&(tokens + prompt)?, tokens)?)?
        };
        let tokens = self.norms[0].forward(&attended)?;
        let projected = self.projection.forward(image)?;
        let [key, value, query] = [0, 1, 2].map(|index| ImageProjection::heads(&projected, index));
        let heard = self.tokens_to_image.forward(&(&tokens + prompt)?, &key?, &value?)?;
        let tokens = self.norms[1].forward(&(tokens + heard)?)?;
        let thought = self.mlp[1].forward(&self.mlp[0].forward(&tokens)?.relu()?)?;
        let tokens = self.norms[2].forward(&(tokens + thought)?)?;
        let told = self.image_to_tokens.forward(image, &query?, &(&tokens + prompt)?, &tokens)?;
        Ok((tokens, self.image_norm.forward(&told)?))
    }
}

/// The last look of the tokens at the image.
pub(super) struct FinalAttention {
    projection: ImageProjection,
    attention: TokensToImage,
    norm: LayerNorm,
}

impl FinalAttention {
    /// `position`: the image's positional encoding, `[128, cells]`.
    pub(super) fn load(layers: &Layers<'_>, position: &Tensor) -> Result<Self, InferenceError> {
        let name = "decoder.final_attn";
        let projections = [(format!("{name}.k_proj"), true), (format!("{name}.v_proj"), false)];
        Ok(Self {
            projection: ImageProjection::load(layers, &projections, position)?,
            attention: TokensToImage::load(layers, name)?,
            norm: layers.layer_norm("decoder.norm_final", WIDTH)?,
        })
    }

    pub(super) fn forward(&self, tokens: &Tensor, image: &Tensor, prompt: &Tensor) -> candle_core::Result<Tensor> {
        let projected = self.projection.forward(image)?;
        let (key, value) = (ImageProjection::heads(&projected, 0)?, ImageProjection::heads(&projected, 1)?);
        let heard = self.attention.forward(&(tokens + prompt)?, &key, &value)?;
        self.norm.forward(&(tokens + heard)?)
    }
}
