"""Makes the golden files of the SAM parity tests with the PyPI packages segment-anything and mobilesam-lite.

    python make_sam_golden.py            # torch (CPU), torchvision, safetensors, numpy, pillow and the two packages

The models are the upstream classes with weights from a counter (see `counted`), so that no weights are committed:
`tests/headless/counter_weights.rs` makes the same numbers, bit for bit. Pictures and mask prompts are made by integer
arithmetic on both sides too. The files hold only what upstream answers: see README.md.
"""

import json
import math
import pathlib
from functools import partial

import numpy as np
import torch
from safetensors.numpy import save_file
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

HERE = pathlib.Path(__file__).parent
M64 = (1 << 64) - 1


# ---- numbers from a counter -------------------------------------------------------------------------------------
def fnv1a(name: str) -> int:
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


def splitmix(seed: int, count: int) -> np.ndarray:
    """splitmix64 of seed + (i + 1) * golden ratio, i = 0..count, as u64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def unit(name: str, shape) -> np.ndarray:
    """f32 in -1..1, multiples of 2^-23."""
    bits = splitmix(fnv1a(name), math.prod(shape)) >> np.uint64(40)
    return (bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)).reshape(shape)


def counted(name: str, shape) -> np.ndarray:
    """The weight of this name: matrices and kernels by fan-in, norms around 1, biases small, tables by half."""
    u = unit(name, shape)
    if len(shape) <= 1:
        if name.endswith(("weight", "running_var")):
            return np.float32(1.0) + np.float32(0.25) * u
        return np.float32(0.1) * u
    if name.endswith("gaussian_matrix"):
        return u
    tables = ("pos_embed", "rel_pos_h", "rel_pos_w", "attention_biases", "_embed.weight", "_token.weight", "_tokens.weight")
    if name.endswith(tables) or "point_embeddings" in name:
        return np.float32(0.5) * u
    fan_in = math.prod(shape[1:])
    return np.float32(math.sqrt(3.0 / fan_in)) * u


def fill(model: torch.nn.Module) -> dict:
    """Replaces all weights by counted ones; returns name -> shape."""
    state = model.state_dict()
    shapes = {k: list(v.shape) for k, v in state.items() if v.dtype == torch.float32}
    new = {k: torch.from_numpy(counted(k, s).copy()) for k, s in shapes.items()}
    missing, unexpected = model.load_state_dict(new, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), missing
    model.eval()  # TinyViT copies its attention biases here
    return shapes


# ---- pictures and mask prompts ----------------------------------------------------------------------------------
def picture(width: int, height: int) -> np.ndarray:
    """u8 RGB: three gradients, a disc of the opposite brightness, and noise of 0..=31."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    base = np.stack([x * 223 // width, y * 223 // height, (x + y) * 223 // (width + height)], -1)
    cx, cy, r = width * 2 // 5, height // 2, min(width, height) // 4
    disc = ((x - cx) ** 2 + (y - cy) ** 2 < r * r)[..., None]
    base = np.where(disc, 223 - base, base)
    noise = (splitmix(fnv1a(f"picture {width}x{height}"), height * width * 3) >> np.uint64(59)).astype(np.int64)
    return (base + noise.reshape(height, width, 3)).astype(np.uint8)


def mask_prompt(side: int) -> np.ndarray:
    """Low-res logits: a soft disc, +-10 far from its rim. [side, side], f32."""
    y, x = np.mgrid[0:side, 0:side].astype(np.int64)
    d2 = (5 * x - 2 * side) ** 2 + (5 * y - 2 * side) ** 2
    return np.clip((side * side - d2).astype(np.float32) / np.float32(side * 4), -10, 10).astype(np.float32)


# ---- models -----------------------------------------------------------------------------------------------------
def prompt_and_decoder(grid: int):
    prompt = PromptEncoder(
        embed_dim=256, image_embedding_size=(grid, grid), input_image_size=(grid * 16, grid * 16), mask_in_chans=16
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    return prompt, decoder


def small_vit() -> Sam:
    """Input side 320: a grid of 20 x 20, which windows of 14 pad to 28 x 28; block 1 is global."""
    encoder = ImageEncoderViT(
        img_size=320, embed_dim=32, depth=3, num_heads=2, mlp_ratio=4, out_chans=256, use_rel_pos=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), window_size=14, global_attn_indexes=(1,),
    )  # fmt: skip
    return Sam(encoder, *prompt_and_decoder(20))


def hugging_face_names(names) -> dict:
    """Original name -> the name in transformers' SamModel (checked against transformers 5.23's own state_dict)."""
    mlp = {"layers.0": "proj_in", "layers.1": "layers.0", "layers.2": "proj_out"}
    table = {
        "output_upscaling.0": "upscale_conv1", "output_upscaling.1": "upscale_layer_norm",
        "output_upscaling.3": "upscale_conv2", "mask_downscaling.0": "mask_embed.conv1",
        "mask_downscaling.1": "mask_embed.layer_norm1", "mask_downscaling.3": "mask_embed.conv2",
        "mask_downscaling.4": "mask_embed.layer_norm2", "mask_downscaling.6": "mask_embed.conv3",
        "point_embeddings": "point_embed", "image_encoder": "vision_encoder", "neck.0": "neck.conv1",
        "neck.1": "neck.layer_norm1", "neck.2": "neck.conv2", "neck.3": "neck.layer_norm2",
        "patch_embed.proj": "patch_embed.projection", ".norm": ".layer_norm", "blocks": "layers",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": "shared_image_embedding.positional_embedding",
    }  # fmt: skip
    out = {}
    for name in names:
        new = name
        if "hypernetworks_mlps" in name or "iou_prediction_head" in name:
            old = next(k for k in mlp if f".{k}." in name)
            new = new.replace(old, mlp[old])
        for old, replacement in table.items():
            new = new.replace(old, replacement)
        out[name] = new
    return out


# ---- answers ----------------------------------------------------------------------------------------------------
def end_to_end(model: Sam, predictor_class, sizes, channel_step: int, pixel_step: int) -> dict:
    """All prompt cases through the official predictor, from u8 pixels to the mask at the picture's size."""
    out = {}
    side = model.image_encoder.img_size
    low = side // 4
    for width, height in sizes:
        rgb = picture(width, height)
        predictor = predictor_class(model)
        predictor.set_image(rgb)
        key = f"{width}x{height}"
        resized = predictor.transform.apply_image(rgb)
        out[f"{key}.resized"] = np.ascontiguousarray(resized[::5, ::5])
        out[f"{key}.resized_size"] = np.array(resized.shape[:2], np.int64)
        if channel_step:
            out[f"{key}.embedding"] = predictor.features[0, ::channel_step].numpy().copy()
        a, b, c = [[width * 0.42, height * 0.5], [width * 0.8, height * 0.25], [width * 0.3, height * 0.6]]
        box = np.array([width * 0.2, height * 0.25, width * 0.6, height * 0.8])
        mask = mask_prompt(low)[None]
        one = dict(point_coords=np.array([a]), point_labels=np.array([1]))
        cases = {
            "point": dict(one, multimask_output=True),
            "points": dict(point_coords=np.array([a, b, c]), point_labels=np.array([1, 0, 1]), multimask_output=False),
            "box": dict(box=box, multimask_output=False),
            "box_point": dict(one, box=box, multimask_output=False),
            "mask": dict(mask_input=mask, multimask_output=False),
            "mask_point": dict(one, mask_input=mask, multimask_output=False),
            "box_mask": dict(box=box, mask_input=mask, multimask_output=False),
        }
        for name, case in cases.items():
            masks, iou, low_res = predictor.predict(**case)
            shares = masks.mean((1, 2))
            print(f"  {key} {name:11s} iou {iou.round(3)} share {shares.round(3)} logits sd {low_res.std():.3f}")
            assert ((shares > 0.03) & (shares < 0.97)).all(), "a mask that is nearly empty or full tests little"
            out[f"{key}.{name}.iou"] = iou
            out[f"{key}.{name}.low_res"] = np.ascontiguousarray(low_res[:, ::pixel_step, ::pixel_step])
            out[f"{key}.{name}.mask_bits"] = np.packbits(masks.reshape(len(masks), -1), axis=1)
    return out


def vit_parts(model: Sam) -> dict:
    """Single blocks and whole halves on inputs from the counter, in f64, so that only our own rounding is seen."""
    import copy

    model = copy.deepcopy(model).double()
    double = lambda name, shape: torch.from_numpy(unit(name, shape)).double()  # noqa: E731
    tokens = double("block input", (1, 20, 20, 32))
    queries, query_pe = double("queries", (1, 7, 256)), double("query pe", (1, 7, 256))
    keys, key_pe = double("keys", (1, 400, 256)), double("key pe", (1, 400, 256))
    image = double("image embedding", (1, 256, 20, 20))
    layer = model.mask_decoder.transformer.layers[1]
    new_queries, new_keys = layer(queries=queries, keys=keys, query_pe=query_pe, key_pe=key_pe)
    # Upstream makes some tensors in f32 whatever the weights are, so the prompt encoder runs in f32.
    prompt = copy.deepcopy(model.prompt_encoder).float()
    points = (torch.tensor([[[100.0, 50.0], [7.5, 300.0]]]), torch.tensor([[1, 0]]))
    mask = torch.from_numpy(mask_prompt(80))[None, None]
    sparse, dense = prompt(points=points, boxes=None, masks=mask)
    dense_pe = prompt.get_dense_pe()
    low_res, iou = model.mask_decoder.predict_masks(image, dense_pe.double(), sparse.double(), dense.double())
    answers = {
        "block.windowed": model.image_encoder.blocks[0](tokens)[0],
        "block.global": model.image_encoder.blocks[1](tokens)[0],
        "two_way.queries": new_queries[0],
        "two_way.keys": new_keys[0, ::9],
        "prompt.sparse": sparse[0],
        "prompt.dense": dense[0, ::13],
        "prompt.dense_pe": dense_pe[0, ::13],
        "decoder.low_res": low_res[0, :, ::3, ::3],
        "decoder.iou": iou[0],
    }
    return {name: answer.float().numpy().copy() for name, answer in answers.items()}


def tiny_vit_parts(state: dict) -> dict:
    """Stages of a TinyViT of the same weights for an input side of 128 (1024 is upstream's only whole size)."""
    from mobilesam_lite.mobile_sam.modeling import TinyViT

    model = TinyViT(
        img_size=128, in_chans=3, num_classes=1000, embed_dims=[64, 128, 160, 320], depths=[2, 2, 6, 2],
        num_heads=[2, 4, 5, 10], window_sizes=[7, 7, 14, 7], mlp_ratio=4.0, drop_rate=0.0, drop_path_rate=0.0,
        use_checkpoint=False, mbconv_expand_ratio=4.0, local_conv_size=3, layer_lr_decay=0.8,
    )  # fmt: skip
    model.load_state_dict(state)
    model.eval()
    out = {}
    x = model.patch_embed(torch.from_numpy(unit("small input", (1, 3, 128, 128))))
    out["tiny.patch_embed"] = x[0, ::7].numpy().copy()
    out["tiny.mbconv"] = model.layers[0].blocks[0](x.clone())[0, ::7].numpy().copy()
    tokens = torch.from_numpy(unit("small tokens", (1, 256, 128)))
    out["tiny.block"] = model.layers[1].blocks[0](tokens)[0, ::3].numpy().copy()
    for index, layer in enumerate(model.layers):
        x = layer(x)
        out[f"tiny.stage{index}"] = x[0, ::5].numpy().copy()
    out["tiny.whole"] = model.neck(x.view(1, 8, 8, 320).permute(0, 3, 1, 2))[0, ::5].numpy().copy()
    return out


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    vit = small_vit()
    vit_shapes = fill(vit)
    vit_answers = vit_parts(vit) | end_to_end(vit, SamPredictor, [(480, 320), (320, 480)], 9, 3)

    from mobilesam_lite.mobile_sam import SamPredictor as MobileSamPredictor
    from mobilesam_lite.mobile_sam.build_sam import build_sam_vit_t

    mobile = build_sam_vit_t()
    mobile_shapes = fill(mobile)
    mobile_answers = tiny_vit_parts(mobile.image_encoder.state_dict())
    mobile_answers |= end_to_end(mobile, MobileSamPredictor, [(450, 300), (300, 450)], 0, 9)

    save_file(vit_answers, HERE / "sam-vit.golden.safetensors")
    save_file(mobile_answers, HERE / "mobile-sam.golden.safetensors")
    names = {"vit": vit_shapes, "mobile_sam": mobile_shapes, "hugging_face": hugging_face_names(vit_shapes)}
    lines = ",\n".join(
        f' "{part}": {{\n' + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()) + "\n }"
        for part, table in names.items()
    )
    (HERE / "sam.names.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
