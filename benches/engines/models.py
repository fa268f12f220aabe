"""The architectures with random weights in PyTorch, their inputs, and their export to ONNX.

    python models.py NAME FOLDER     # writes NAME.onnx, NAME.npz (inputs in order) and NAME.json (GFLOP, input names)

Every -64 decoder answers 64 prompts of one point on one picture in one batch; compare.py also asks the decoder for one
prompt 64 times and keeps the faster way. Positions of the picture's cells are constants, as they are in our decoders.
"""

import json
import pathlib
import sys
from functools import partial

import numpy as np
import torch
from torch import nn

NAMES = [
    "spark-sam-encoder", "spark-sam-decoder", "spark-sam-decoder-64", "mobile-sam-encoder", "sam-b-encoder",
    "sam-decoder", "sam-decoder-64", "clip-b32-image", "clip-b32-image-16",
]  # fmt: skip


class SamDecoder(nn.Module):
    """SAM's prompt encoder for lone points and its mask decoder: [1, 256, 64, 64] and [N, 1, 2] to [N, 4, 256, 256]."""

    def __init__(self):
        super().__init__()
        from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

        self.prompt = PromptEncoder(
            embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
        )
        self.decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
            transformer_dim=256,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )
        with torch.no_grad():
            self.register_buffer("image_pe", self.prompt.get_dense_pe())

    def forward(self, embedding, points):
        count = points.shape[0]
        point = self.prompt.pe_layer._pe_encoding((points + 0.5) / 1024) + self.prompt.point_embeddings[1].weight
        tokens = torch.cat([point, self.prompt.not_a_point_embed.weight.expand(count, 1, 256)], 1)
        dense = self.prompt.no_mask_embed.weight.reshape(1, 256, 1, 1).expand(count, 256, 64, 64)
        return self.decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=self.image_pe,
            sparse_prompt_embeddings=tokens,
            dense_prompt_embeddings=dense,
        )


class ClipImage(nn.Module):
    """CLIP ViT-B/32's image tower with its projection: [N, 3, 224, 224] to [N, 512]."""

    def __init__(self):
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        self.tower = CLIPVisionModelWithProjection(CLIPVisionConfig())

    def forward(self, pixels):
        return self.tower(pixel_values=pixels).image_embeds


def sam_vit_b():
    from segment_anything.modeling import ImageEncoderViT

    return ImageEncoderViT(
        img_size=1024, embed_dim=768, depth=12, num_heads=12, mlp_ratio=4, out_chans=256, use_rel_pos=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), window_size=14, global_attn_indexes=(2, 5, 8, 11),
    )  # fmt: skip


def mobile_sam():
    from mobilesam_lite.mobile_sam.modeling import TinyViT

    return TinyViT(
        img_size=1024, in_chans=3, num_classes=1000, embed_dims=[64, 128, 160, 320], depths=[2, 2, 6, 2],
        num_heads=[2, 4, 5, 10], window_sizes=[7, 7, 14, 7], mlp_ratio=4.0, drop_rate=0.0, drop_path_rate=0.0,
        use_checkpoint=False, mbconv_expand_ratio=4.0, local_conv_size=3, layer_lr_decay=0.8,
    )  # fmt: skip


def points(count, side):
    """`count` different points, [count, 1, 2]."""
    across = int(np.ceil(np.sqrt(count)))
    index = torch.arange(count)
    xy = torch.stack([index % across, index // across], -1).float()
    return ((xy + 0.5) * side / across)[:, None]


def build(name):
    """A module in evaluation mode, its inputs and their names."""
    torch.manual_seed(0)
    count = 64 if name.endswith("-64") else 16 if name.endswith("-16") else 1
    if name == "spark-sam-encoder":
        from spark_sam import Encoder

        module, inputs = Encoder(), {"picture": torch.randn(1, 3, 512, 512)}
    elif name.startswith("spark-sam-decoder"):
        from spark_sam import Decoder

        # A lone point is filled up with padding to four tokens, as in training.
        module, xy = Decoder(), torch.zeros(count, 4, 2)
        xy[:, :1] = points(count, 512)
        labels = torch.full((count, 4), -1)
        labels[:, 0] = 1
        maps = {"embed": (128, 64), "hr4": (32, 128), "hr2": (16, 256)}
        inputs = {name: torch.randn(1, channels, side, side) for name, (channels, side) in maps.items()}
        inputs |= {"points": xy, "labels": labels}
    elif name == "mobile-sam-encoder":
        module, inputs = mobile_sam(), {"picture": torch.randn(1, 3, 1024, 1024)}
    elif name == "sam-b-encoder":
        module, inputs = sam_vit_b(), {"picture": torch.randn(1, 3, 1024, 1024)}
    elif name.startswith("sam-decoder"):
        module, inputs = SamDecoder(), {"embedding": torch.randn(1, 256, 64, 64), "points": points(count, 1024)}
    elif name.startswith("clip-b32-image"):
        module, inputs = ClipImage(), {"pixels": torch.randn(count, 3, 224, 224)}
    else:
        raise SystemExit(f"no model is called {name}; choose from {', '.join(NAMES)}")
    return module.eval().requires_grad_(False), inputs


def first(outputs):
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


def export(name, folder):
    from torch.utils.flop_counter import FlopCounterMode

    module, inputs = build(name)
    with torch.no_grad():
        counter = FlopCounterMode(display=False)
        with counter:
            expected = first(module(*inputs.values()))
        path = folder / f"{name}.onnx"
        torch.onnx.export(module, tuple(inputs.values()), path, input_names=list(inputs), dynamo=True, external_data=False)
    arrays = {key: value.numpy() for key, value in inputs.items()}
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    known = {entry.name for entry in session.get_inputs()}
    got = session.run(None, {key: value for key, value in arrays.items() if key in known})[0]
    # An exported model that answers otherwise would be another model.
    scale = float(expected.abs().max())
    error = float(np.abs(got - expected.numpy()).max())
    if not error <= 1e-2 * scale:
        raise SystemExit(f"{name}: the exported model differs from PyTorch's by {error} of {scale}")
    np.savez(folder / f"{name}.npz", **arrays)
    # Written last: its presence says that the export is whole.
    facts = {"gflop": counter.get_total_flops() / 1e9, "error": error / scale}
    (folder / f"{name}.json").write_text(json.dumps(facts))
    print(f"{name}: {facts}", file=sys.stderr)


if __name__ == "__main__":
    export(sys.argv[1], pathlib.Path(sys.argv[2]))
