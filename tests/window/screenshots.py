"""Takes the README's pictures of the real window: dark and light, large and small, with objects and candidates.

    tests/window/run PROGRAM screenshots.py FOLDER

The photos are those of assets/demo; nothing is drawn over the pictures afterwards.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from desktop import Desktop, Program, click, keys, type_text, wait_for

program, out = sys.argv[1], Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
scratch = Path(os.environ["SCRATCH"])
root = Path(__file__).resolve().parents[2]
settings = Path(os.environ["HOME"]) / ".config" / "maskwright" / "settings.json"


def take(name, theme, size, helper=None):
    """One picture in a fresh folder of photos."""
    folder = scratch / name
    folder.mkdir()
    for photo in sorted((root / "assets" / "demo").glob("*.jpg")):
        shutil.copy(photo, folder)
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"window": {"theme": theme}, "window_size": size}))
    app = Program([program, str(folder)], scratch / "program.log")
    canvas = app.wait("Canvas")

    def ready():
        wait_for("the picture to be encoded", lambda: app.find("picture ", starts=True) or app.find("ready from", starts=True), 120)
        time.sleep(1)

    def at(column, row):
        """A place on the photo, which is fitted into the canvas and centred."""
        x, y, width, height = app.rectangle(canvas)
        photo_width, photo_height = photo_size
        zoom = min(width / photo_width, height / photo_height) * 0.96
        return x + width / 2 + (column - photo_width / 2) * zoom, y + height / 2 + (row - photo_height / 2) * zoom

    ready()
    photo_size = (512, 512)
    for button, column, row in [(1, 230, 100), (1, 200, 330), (3, 400, 450), (1, 280, 330), (1, 150, 500), (3, 20, 450)]:
        click(*at(column, row), button=button)
        time.sleep(0.6)
    keys("Return")
    app.wait("Object 1", starts=True)
    field = app.rectangle(app.wait("Label name"))
    click(field[0] + field[2] / 2, field[1] + field[3] / 2)
    type_text("astronaut")
    keys("Return")
    keys("Escape")
    keys("d")
    time.sleep(1.5)
    ready()
    photo_size = (451, 300)
    click(*at(250, 160))
    app.wait("Candidate 1", starts=True)
    time.sleep(0.6)
    if helper:
        helper(app)
    time.sleep(0.8)
    subprocess.run(["import", "-window", app.window, str(out / f"{name}.png")], check=True)
    app.close()


with Desktop(1500, 1000):
    take("window-dark", "dark", [1180, 760])
    take("window-light", "light", [1180, 760])
    # For the eye, not for the README.
    if os.environ.get("MASKWRIGHT_MORE_PICTURES"):
        take("window-small", "dark", [820, 560])
        take("shortcuts", "light", [1100, 760], lambda app: keys("F1"))
        take("palette", "dark", [1100, 760], lambda app: keys("ctrl+p"))
