"""Checks an export with real pycocotools: every mask must equal its mask file, pixel for pixel.

    pip install pycocotools numpy pillow
    python tests/golden/check_with_pycocotools.py [FOLDER]

Without FOLDER it is tmp/coco-check in cargo's target folder. It holds one or more COCO files (*.json) and masks/<annotation id, six digits>.png, 8-bit grey, 0 or 255, as
the test `coco_export` leaves them. Also checked: area and box of every object, and that an evaluation of the file
against itself finds every object (average precision 1), which breaks where ids, iscrowd or areas are wrong.
Exit code 0 if all is well, 1 with a list of what is not.
"""

import contextlib
import io
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def quietly(call, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*arguments)


def check_masks(coco: COCO, masks: Path) -> list[str]:
    faults = []
    for annotation in coco.loadAnns(coco.getAnnIds()):
        name = f"annotation {annotation['id']}"
        image = coco.loadImgs(annotation["image_id"])[0]
        with Image.open(masks / f"{annotation['id']:06}.png") as file:
            truth = np.asarray(file)
            if file.mode != "L" or not np.isin(truth, (0, 255)).all():
                faults.append(f"{name}: the mask file is not 8-bit grey with 0 and 255 only")
        if truth.shape != (image["height"], image["width"]):
            faults.append(f"{name}: mask file {truth.shape}, image {image['height']} x {image['width']}")
            continue
        truth = (truth == 255).astype(np.uint8)
        found = coco.annToMask(annotation)
        if not np.array_equal(found, truth):
            iou = (found & truth).sum() / max(1, (found | truth).sum())
            faults.append(f"{name}: {(found != truth).sum()} pixels differ, IoU {iou:.6f}")
        runs = mask_api.encode(np.asfortranarray(truth))
        if mask_api.iou([coco.annToRLE(annotation)], [runs], [0])[0, 0] != 1.0:
            faults.append(f"{name}: pycocotools' own IoU is not 1")
        if annotation["area"] != int(mask_api.area(runs)):
            faults.append(f"{name}: area {annotation['area']}, expected {int(mask_api.area(runs))}")
        if annotation["bbox"] != mask_api.toBbox(runs).astype(int).tolist():
            faults.append(f"{name}: box {annotation['bbox']}, expected {mask_api.toBbox(runs).tolist()}")
        if annotation["iscrowd"] != 0:
            faults.append(f"{name}: iscrowd is {annotation['iscrowd']}")
    return faults


def check_evaluation(coco: COCO) -> list[str]:
    results = [
        {
            "image_id": annotation["image_id"],
            "category_id": annotation["category_id"],
            "segmentation": coco.annToRLE(annotation),
            "score": 1.0,
        }
        for annotation in coco.loadAnns(coco.getAnnIds())
    ]
    evaluation = COCOeval(coco, quietly(coco.loadRes, results), "segm")
    for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
        quietly(step)
    precision = evaluation.stats[0]
    return [] if precision > 0.9999 else [f"evaluated against itself the average precision is {precision}, not 1"]


def default_folder() -> Path:
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "tmp" / "coco-check"


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    files = sorted(folder.glob("*.json"))
    if not files:
        print(f"{folder}: holds no COCO file; run `cargo test --test headless coco_export` first")
        return 1
    bad = 0
    for file in files:
        if not file.read_bytes().isascii():
            print(f"{file.name}: is not ASCII")
            bad += 1
        coco = quietly(COCO, str(file))
        faults = check_masks(coco, folder / "masks") + check_evaluation(coco)
        for fault in faults:
            print(f"{file.name}: {fault}")
        bad += len(faults)
        print(f"{file.name}: {len(coco.anns)} objects on {len(coco.imgs)} images, {len(faults)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
