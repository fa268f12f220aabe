"""The main job in a real window: open, click, choose, accept, label, export; then a power cut, and all is still there.

    tests/window/run PROGRAM end_to_end.py [PYTHON]

PYTHON has numpy, Pillow and pycocotools. The exported file is read by pycocotools, and the mask of each object is
compared, pixel for pixel, with the one that the command line makes from the very prompts that the window stored.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from desktop import Desktop, Program, click, drag, keys, type_text, wait_for

program = sys.argv[1]
python = sys.argv[2] if len(sys.argv) > 2 else sys.executable
scratch = Path(os.environ["SCRATCH"])
root = Path(__file__).resolve().parents[2]
artefacts = Path(os.environ.get("MASKWRIGHT_WINDOW_PICTURES", scratch / "pictures"))
artefacts.mkdir(parents=True, exist_ok=True)

photos = scratch / "photos"
photos.mkdir()
for name in ("chelsea.jpg", "coffee.jpg"):
    shutil.copy(root / "assets" / "demo" / name, photos)
store = photos / "maskwright.sqlite"
log = scratch / "program.log"

CHECK = """
import json, sys
import numpy as np
from PIL import Image
from pycocotools.coco import COCO
coco = COCO(sys.argv[1])
for annotation in coco.loadAnns(coco.getAnnIds()):
    mask = coco.annToMask(annotation)
    truth = np.asarray(Image.open(sys.argv[2] % annotation["id"])) >= 128
    assert mask.shape == truth.shape and (mask.astype(bool) == truth).all(), annotation["id"]
    assert mask.sum() == annotation["area"] > 0
print("objects equal:", len(coco.getAnnIds()))
"""


def rows(query):
    """Asks the project file, as a second reader."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


def stored_objects():
    return rows("SELECT a.image, a.prompt, l.name FROM annotations a LEFT JOIN labels l ON l.id = a.label ORDER BY a.id")


def segment(image, prompt, out):
    """The command line on the prompt that the window stored."""
    words = [program, "segment", str(photos / image)]
    for step in prompt["steps"]:
        if "point" in step:
            at, flag = step["point"]["at"], {"include": "--point", "exclude": "--not"}[step["point"]["polarity"]]
            words += [flag, f"{at['x']!r},{at['y']!r}"]
        else:
            box = step["box"]
            words += ["--box", ",".join(repr(box[k]) for k in ("x0", "y0", "x1", "y1"))]
    if prompt.get("view"):
        view = prompt["view"]
        words += ["--region", f"{view['x']},{view['y']},{view['x'] + view['width']},{view['y'] + view['height']}"]
    if prompt.get("choice") is not None:
        words += ["--choose", str(prompt["choice"] + 1)]
    subprocess.run(words + ["-o", str(out)], check=True)


def encoded(app):
    """The status bar says that the picture is ready for clicks."""
    return lambda: app.find("picture ", starts=True) or app.find("ready from", starts=True)


with Desktop() as desktop:
    app = Program([program, str(photos)], log)
    try:
        canvas = app.wait("Canvas")
        wait_for("the picture to be encoded", encoded(app), 120)
        time.sleep(1)
        x, y, width, height = app.rectangle(canvas)
        assert width > 400 and height > 300, f"the canvas is {width} x {height}"

        # A click on the cat, another candidate by its key; Enter keeps it.
        click(x + width * 0.5, y + height * 0.55)
        app.wait("Candidate 1", starts=True)
        keys("2")
        time.sleep(0.5)
        desktop.screenshot(artefacts / "candidates.png")
        keys("Return")
        wait_for("the object in the project file", lambda: store.exists() and len(stored_objects()) == 1)

        # Its label, typed into the label field.
        field = app.wait("Label name")
        fx, fy, fw, fh = app.rectangle(field)
        click(fx + fw / 2, fy + fh / 2)
        type_text("cat")
        keys("Return")
        wait_for("the label on the object", lambda: stored_objects()[0][2] == "cat")

        # The focus back to the canvas, that click dropped; then a box and an exclude point on the next picture.
        click(x + width * 0.5, y + 20)
        keys("Escape")
        keys("d")
        app.wait("Picture coffee.jpg", starts=True)
        time.sleep(1)
        wait_for("the next picture to be encoded", encoded(app), 120)
        time.sleep(1)
        drag(x + width * 0.25, y + height * 0.25, x + width * 0.75, y + height * 0.85)
        app.wait("Accept", starts=True)
        click(x + width * 0.27, y + height * 0.3, button=3)
        time.sleep(1)
        keys("Return")
        wait_for("the second object", lambda: len(stored_objects()) == 2)

        # Undo and redo reach the project file, too.
        keys("ctrl+z")
        wait_for("undo in the project file", lambda: len(stored_objects()) == 1)
        keys("ctrl+shift+z")
        wait_for("redo in the project file", lambda: len(stored_objects()) == 2)
        desktop.screenshot(artefacts / "two-objects.png")

        # The power cut.
        before = stored_objects()
        app.kill()
        app = Program([program, str(photos)], log)
        app.wait("Canvas")
        app.wait("Object 1", starts=True)
        assert stored_objects() == before, "the work is found again as it was"

        # The export, through the dialog.
        out = scratch / "annotations.json"
        keys("ctrl+e")
        path = app.wait("Export path")
        px, py, pw, ph = app.rectangle(path)
        click(px + pw / 2, py + ph / 2)
        keys("ctrl+a")
        type_text(str(out))
        time.sleep(0.5)
        desktop.screenshot(artefacts / "export.png")
        app.press("Write export")
        wait_for("the exported file", out.exists)
        app.wait("Done")
        keys("Escape")

        # The file, the project and the command line agree.
        for number, (image, prompt, _) in enumerate(stored_objects(), 1):
            segment(image, json.loads(prompt), scratch / f"object-{number}.png")
        names = {i["id"]: i["file_name"] for i in json.loads(out.read_text())["images"]}
        assert [names[a["image_id"]] for a in json.loads(out.read_text())["annotations"]] == [o[0] for o in stored_objects()]
        answer = subprocess.run([python, "-c", CHECK, str(out), str(scratch / "object-%d.png")], check=True, capture_output=True,
                                text=True)
        assert "objects equal: 2" in answer.stdout, answer.stdout
        assert app.close() == 0, "closing is a clean end"
    except BaseException:
        desktop.screenshot(artefacts / "failure.png")
        print(log.read_text(errors="replace"), file=sys.stderr)
        raise
print("end to end: open, click, choose, accept, label, undo, redo, power cut, restore, export, compare: passed")
