"""Makes assets/demo/*.jpg from the photos that the PyPI package scikit-image carries.

Run: `python assets/make_demo_photos.py` with scikit-image 0.26 and Pillow installed. The pixels are those of the
package; only the container changes (JPEG, quality 92, no chroma subsampling, no metadata), since the PNG files are
five times as large. Provenance and licences: assets/README.md.
"""

from pathlib import Path

import skimage.data
from PIL import Image

FOLDER = Path(__file__).parent / "demo"

for name in ("astronaut", "chelsea", "coffee"):
    pixels = getattr(skimage.data, name)()
    path = FOLDER / f"{name}.jpg"
    Image.fromarray(pixels).save(path, quality=92, subsampling=0, optimize=True)
    print(path.name, pixels.shape, path.stat().st_size, "bytes")
