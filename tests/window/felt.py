"""The program measures how quick it feels, in a real window: every number is there, finite, and in its order.

    tests/window/run PROGRAM felt.py

How large the numbers are is not looked at: that depends on the machine and on what else it does.
"""
import json
import math
import subprocess
import sys

from desktop import Desktop

program = sys.argv[1]
root = __file__.rsplit("/tests/", 1)[0]
NAMES = ["window", "model", "picture", "file", "first_click", "encode", "click", "decode", "mask", "frame"]

with Desktop():
    # A small photo: the journey is the same, and the test is quick in a debug build, too.
    command = [program, "bench", "--felt", "--json", "--starts", "1", "--photo", f"{root}/assets/demo/coffee.jpg"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
    numbers = json.loads(answer.stdout)
    for name in NAMES:
        median, p90 = numbers[f"{name}_ms"], numbers[f"{name}_p90_ms"]
        assert math.isfinite(median) and 0 <= median <= p90, (name, median, p90)
    for name in ("rss_at_rest_mib", "rss_with_photo_mib", "rss_peak_mib"):
        assert 1 < numbers[name] < 1e6, (name, numbers[name])
    assert numbers["picture_ms"] <= numbers["first_click_ms"] and numbers["decode_ms"] <= numbers["click_ms"], numbers
    assert numbers["starts"] == 1 and numbers["photo"]["width"] == 600, numbers
print("felt speed: the window measured itself, all numbers are there")
