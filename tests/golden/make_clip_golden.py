"""Makes the golden file of the CLIP image tower's parity test with the PyPI package transformers.

    python make_clip_golden.py           # torch (CPU), transformers, safetensors, numpy

A small `CLIPVisionModelWithProjection` with weights from the counter of `make_sam_golden.py`, run in f64, so that only our
own rounding is seen. `src/inference/clip/tests.rs` makes the same weights and planes.
"""

import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

HERE = pathlib.Path(__file__).parent


def shared(names: tuple) -> list:
    """The counter's functions, taken from the text of the other script, which needs packages that this one does not."""
    text = (HERE / "make_sam_golden.py").read_text()
    start, end = text.index("# ---- numbers from a counter"), text.index("# ---- pictures and mask prompts")
    scope = {"np": np, "math": math, "torch": torch, "M64": (1 << 64) - 1}
    exec(text[start:end], scope)
    return [scope[name] for name in names]


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    unit, fill = shared(("unit", "fill"))
    config = CLIPVisionConfig(
        hidden_size=128, intermediate_size=256, projection_dim=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=40, patch_size=8,
    )  # fmt: skip
    model = CLIPVisionModelWithProjection(config)
    fill(model)
    planes = torch.from_numpy(unit("clip planes", (3, 3, 40, 40)))
    embeds = model.double()(pixel_values=planes.double()).image_embeds
    print(embeds.shape, embeds.std(), embeds[:, :3])
    save_file({"image_embeds": embeds.float().numpy().copy()}, HERE / "clip-image.golden.safetensors")


if __name__ == "__main__":
    main()
