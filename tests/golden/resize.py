"""Makes resize.bin: noise pictures resized by Pillow, for src/raster/resize.rs. Needs numpy and pillow.

    python tests/golden/resize.py
"""
import pathlib

import numpy as np
from PIL import Image


def noise(width, height):
    state, out = 12345, []
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.array(out, np.uint8).reshape(height, width, 3)


CASES = [((61, 43), (32, 23)), ((61, 43), (96, 68)), ((200, 7), (51, 2)), ((3, 150), (1, 40))]
data = b"".join(np.asarray(Image.fromarray(noise(*size)).resize(to, Image.BILINEAR)).tobytes() for size, to in CASES)
pathlib.Path(__file__).with_name("resize.bin").write_bytes(data)
