//! Names and shapes of the tensors of published models, from their plans.
//!
//! Sources: segment_anything/modeling/*.py; mobile_sam/modeling/tiny_vit_sam.py; transformers, models/clip/modeling_clip.py.
//! Invariant: SAM's and MobileSAM's are compared with upstream's own lists by a test.

/// Tensors by name, with their shapes.
pub type Shapes = Vec<(String, Vec<usize>)>;

/// The size of a SAM with a plain ViT.
#[derive(Debug, Clone, Copy)]
pub struct VitPlan {
    /// Channels of a token.
    pub dim: usize,
    /// Attention heads a block.
    pub heads: usize,
    /// Channels inside a block's two-layer part.
    pub hidden: usize,
    /// Patches of 16 x 16 pixels a side of the input.
    pub grid: usize,
    /// For each block the side of its attention's window; `grid` is the whole picture.
    pub windows: &'static [usize],
}

/// SAM ViT-B: 12 blocks, every third over the whole picture.
pub const VIT_B: VitPlan =
    VitPlan { dim: 768, heads: 12, hidden: 3072, grid: 64, windows: &[14, 14, 64, 14, 14, 64, 14, 14, 64, 14, 14, 64] };

/// A stage of TinyViT: channels, blocks, heads (0: convolutional), window.
pub type TinyVitStage = (usize, usize, usize, usize);

/// TinyViT-5M, MobileSAM's image encoder.
pub const TINY_VIT_5M: [TinyVitStage; 4] = [(64, 2, 0, 0), (128, 2, 4, 7), (160, 6, 5, 14), (320, 2, 10, 7)];

/// Channels of SAM's embedding and tokens.
const DIM: usize = 256;

/// A list that is being written, with the layers that come again and again.
#[derive(Default)]
struct List(Shapes);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    /// A layer with a bias of as many numbers as it has outputs.
    fn layer(&mut self, name: &str, weight: &[usize], outputs: usize) {
        self.add(format!("{name}.weight"), weight);
        self.add(format!("{name}.bias"), &[outputs]);
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.layer(name, &[outputs, inputs], outputs);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.layer(name, &[channels], channels);
    }

    /// A convolution without a bias and the batch norm behind it (`Conv2d_BN`).
    fn convolution(&mut self, name: &str, inputs: usize, outputs: usize, side: usize) {
        self.add(format!("{name}.c.weight"), &[outputs, inputs, side, side]);
        self.norm(&format!("{name}.bn"), outputs);
        self.add(format!("{name}.bn.running_mean"), &[outputs]);
        self.add(format!("{name}.bn.running_var"), &[outputs]);
    }

    /// Attention between rows of `dim` channels, in `inner` channels.
    fn attention(&mut self, name: &str, dim: usize, inner: usize) {
        for part in ["q", "k", "v"] {
            self.linear(&format!("{name}.{part}_proj"), dim, inner);
        }
        self.linear(&format!("{name}.out_proj"), inner, dim);
    }

    fn three_layers(&mut self, name: &str, outputs: usize) {
        for (index, outputs) in [DIM, DIM, outputs].into_iter().enumerate() {
            self.linear(&format!("{name}.layers.{index}"), DIM, outputs);
        }
    }

    fn sam_neck(&mut self, inputs: usize) {
        self.add("image_encoder.neck.0.weight", &[DIM, inputs, 1, 1]);
        self.norm("image_encoder.neck.1", DIM);
        self.add("image_encoder.neck.2.weight", &[DIM, DIM, 3, 3]);
        self.norm("image_encoder.neck.3", DIM);
    }

    fn vit(&mut self, plan: &VitPlan) {
        let &VitPlan { dim, heads, hidden, grid, windows } = plan;
        self.add("image_encoder.pos_embed", &[1, grid, grid, dim]);
        self.layer("image_encoder.patch_embed.proj", &[dim, 3, 16, 16], dim);
        for (index, window) in windows.iter().enumerate() {
            let name = |part: &str| format!("image_encoder.blocks.{index}.{part}");
            self.norm(&name("norm1"), dim);
            self.add(name("attn.rel_pos_h"), &[2 * window - 1, dim / heads]);
            self.add(name("attn.rel_pos_w"), &[2 * window - 1, dim / heads]);
            self.linear(&name("attn.qkv"), dim, 3 * dim);
            self.linear(&name("attn.proj"), dim, dim);
            self.norm(&name("norm2"), dim);
            self.linear(&name("mlp.lin1"), dim, hidden);
            self.linear(&name("mlp.lin2"), hidden, dim);
        }
        self.sam_neck(dim);
    }

    fn tiny_vit(&mut self, stages: &[TinyVitStage]) {
        let first = stages[0].0;
        self.convolution("image_encoder.patch_embed.seq.0", 3, first / 2, 3);
        self.convolution("image_encoder.patch_embed.seq.2", first / 2, first, 3);
        for (index, &(dim, depth, heads, window)) in stages.iter().enumerate() {
            let stage = format!("image_encoder.layers.{index}");
            for block in 0..depth {
                let name = |part: &str| format!("{stage}.blocks.{block}.{part}");
                if heads == 0 {
                    self.convolution(&name("conv1"), dim, 4 * dim, 1);
                    self.convolution(&name("conv2"), 1, 4 * dim, 3);
                    self.convolution(&name("conv3"), 4 * dim, dim, 1);
                    continue;
                }
                self.add(name("attn.attention_biases"), &[heads, window * window]);
                self.norm(&name("attn.norm"), dim);
                self.linear(&name("attn.qkv"), dim, 3 * dim);
                self.linear(&name("attn.proj"), dim, dim);
                self.norm(&name("mlp.norm"), dim);
                self.linear(&name("mlp.fc1"), dim, 4 * dim);
                self.linear(&name("mlp.fc2"), 4 * dim, dim);
                self.convolution(&name("local_conv"), 1, dim, 3);
            }
            if let Some(&(next, ..)) = stages.get(index + 1) {
                self.convolution(&format!("{stage}.downsample.conv1"), dim, next, 1);
                self.convolution(&format!("{stage}.downsample.conv2"), 1, next, 3);
                self.convolution(&format!("{stage}.downsample.conv3"), next, next, 1);
            }
        }
        let last = stages[stages.len() - 1].0;
        // The classifier that TinyViT was trained with; checkpoints carry it.
        self.norm("image_encoder.norm_head", last);
        self.linear("image_encoder.head", last, 1000);
        self.sam_neck(last);
    }

    /// `prompt_encoder.*` and `mask_decoder.*`, the same in every SAM.
    fn sam_decoder(&mut self) {
        let name = |part: &str| format!("prompt_encoder.{part}");
        self.add(name("pe_layer.positional_encoding_gaussian_matrix"), &[2, DIM / 2]);
        for label in 0..4 {
            self.add(name(&format!("point_embeddings.{label}.weight")), &[1, DIM]);
        }
        self.add(name("not_a_point_embed.weight"), &[1, DIM]);
        self.layer(&name("mask_downscaling.0"), &[4, 1, 2, 2], 4);
        self.norm(&name("mask_downscaling.1"), 4);
        self.layer(&name("mask_downscaling.3"), &[16, 4, 2, 2], 16);
        self.norm(&name("mask_downscaling.4"), 16);
        self.layer(&name("mask_downscaling.6"), &[DIM, 16, 1, 1], DIM);
        self.add(name("no_mask_embed.weight"), &[1, DIM]);
        let name = |part: &str| format!("mask_decoder.{part}");
        for block in 0..2 {
            let name = |part: &str| format!("mask_decoder.transformer.layers.{block}.{part}");
            self.attention(&name("self_attn"), DIM, DIM);
            self.attention(&name("cross_attn_token_to_image"), DIM, DIM / 2);
            self.attention(&name("cross_attn_image_to_token"), DIM, DIM / 2);
            self.linear(&name("mlp.lin1"), DIM, 2048);
            self.linear(&name("mlp.lin2"), 2048, DIM);
            for number in 1..=4 {
                self.norm(&name(&format!("norm{number}")), DIM);
            }
        }
        self.attention(&name("transformer.final_attn_token_to_image"), DIM, DIM / 2);
        self.norm(&name("transformer.norm_final_attn"), DIM);
        self.add(name("iou_token.weight"), &[1, DIM]);
        self.add(name("mask_tokens.weight"), &[4, DIM]);
        self.layer(&name("output_upscaling.0"), &[DIM, DIM / 4, 2, 2], DIM / 4);
        self.norm(&name("output_upscaling.1"), DIM / 4);
        self.layer(&name("output_upscaling.3"), &[DIM / 4, DIM / 8, 2, 2], DIM / 8);
        for mask in 0..4 {
            self.three_layers(&name(&format!("output_hypernetworks_mlps.{mask}")), DIM / 8);
        }
        self.three_layers(&name("iou_prediction_head"), 4);
    }
}

/// A SAM with a plain ViT, in the original layout.
pub fn sam_vit(plan: &VitPlan) -> Shapes {
    let mut list = List::default();
    list.vit(plan);
    list.sam_decoder();
    list.0
}

/// MobileSAM: a TinyViT and SAM's own decoder.
pub fn mobile_sam(stages: &[TinyVitStage]) -> Shapes {
    let mut list = List::default();
    list.tiny_vit(stages);
    list.sam_decoder();
    list.0
}

/// CLIP ViT-B/32's image tower with its projection, in Hugging Face's layout.
pub fn clip_vit_b32_image() -> Shapes {
    const WIDTH: usize = 768;
    let mut list = List::default();
    list.add("vision_model.embeddings.class_embedding", &[WIDTH]);
    list.add("vision_model.embeddings.patch_embedding.weight", &[WIDTH, 3, 32, 32]);
    list.add("vision_model.embeddings.position_embedding.weight", &[50, WIDTH]);
    list.norm("vision_model.pre_layrnorm", WIDTH);
    for layer in 0..12 {
        let name = |part: &str| format!("vision_model.encoder.layers.{layer}.{part}");
        list.attention(&name("self_attn"), WIDTH, WIDTH);
        list.norm(&name("layer_norm1"), WIDTH);
        list.linear(&name("mlp.fc1"), WIDTH, 4 * WIDTH);
        list.linear(&name("mlp.fc2"), 4 * WIDTH, WIDTH);
        list.norm(&name("layer_norm2"), WIDTH);
    }
    list.norm("vision_model.post_layernorm", WIDTH);
    list.add("visual_projection.weight", &[512, WIDTH]);
    list.0
}
