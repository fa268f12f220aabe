"""A private desktop for tests: an Xvfb display with a window manager and accessibility, and a program on it.

Widgets are found by their accessible names, never by pixel constants; every wait has an end and says what it waited for.
"""
import os
import signal
import subprocess
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402


def wait_for(what, check, timeout_secs=60, pause_secs=0.1):
    """The first true answer of `check`; fails with `what` when there is none in time."""
    end = time.monotonic() + timeout_secs
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_secs} s in vain for: {what}")
        time.sleep(pause_secs)


class Desktop:
    """Xvfb and openbox; use as a context manager."""

    def __init__(self, width=1400, height=900):
        self.size = (width, height)
        self.children = []

    def __enter__(self):
        read_end, write_end = os.pipe()
        screen = f"{self.size[0]}x{self.size[1]}x24"
        self.children.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(write_end), "-screen", "0", screen, "-nolisten", "tcp"],
            pass_fds=[write_end], stderr=subprocess.DEVNULL))
        os.close(write_end)
        with os.fdopen(read_end) as numbers:
            os.environ["DISPLAY"] = ":" + numbers.readline().strip()
        os.environ["WGPU_BACKEND"] = os.environ.get("WGPU_BACKEND", "vulkan")
        self.children.append(subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL))
        subprocess.run(["gdbus", "call", "--session", "--dest", "org.a11y.Bus", "--object-path", "/org/a11y/bus", "--method",
                        "org.freedesktop.DBus.Properties.Set", "org.a11y.Status", "IsEnabled", "<true>"],
                       check=True, stdout=subprocess.DEVNULL)
        Atspi.init()
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()

    def screenshot(self, path):
        """The whole display as a PNG."""
        subprocess.run(["import", "-window", "root", str(path)], check=True)


class Program:
    """The program under test, started with its own log file."""

    def __init__(self, command, log, title="Maskwright"):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        self.title = title
        self.window = wait_for("the window to show", self._find_window)
        xdo("windowfocus", "--sync", self.window)

    def _find_window(self):
        if self.process.poll() is not None:
            with open(self.log, errors="replace") as text:
                raise AssertionError(f"the program ended with {self.process.returncode}:\n{text.read()}")
        found = subprocess.run(["xdotool", "search", "--onlyvisible", "--pid", str(self.process.pid)],
                               capture_output=True, text=True).stdout.split()
        return found[0] if found else None

    def kill(self):
        """As the power cut does: no warning, no clean-up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        """As a person does."""
        keys("alt+F4")
        return self.process.wait(20)

    def application(self):
        """The program's root in the accessibility tree, or None."""
        desktop = Atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            child = desktop.get_child_at_index(index)
            if child is not None and child.get_process_id() == self.process.pid:
                return child
        return None

    def nodes(self):
        """All nodes of the tree, roots first."""
        root = self.application()
        queue = [root] if root else []
        while queue:
            node = queue.pop(0)
            try:
                yield node
                queue.extend(c for c in (node.get_child_at_index(i) for i in range(node.get_child_count())) if c)
            except Exception:  # noqa: BLE001 - a node may go away while the tree is read
                continue

    def find(self, name, role=None, starts=False):
        """The first node of that accessible name, or None."""
        for node in self.nodes():
            try:
                text = node.get_name() or ""
                if (text.startswith(name) if starts else text == name) and (role is None or node.get_role_name() == role):
                    return node
            except Exception:  # noqa: BLE001
                continue
        return None

    def wait(self, name, role=None, starts=False, timeout_secs=60):
        """Waits until a node of that name is there."""
        try:
            return wait_for(f"a widget named {name!r}", lambda: self.find(name, role, starts), timeout_secs)
        except AssertionError as fault:
            seen = sorted({f"{n.get_role_name()}: {n.get_name()}" for n in self.nodes() if n.get_name()})
            raise AssertionError(f"{fault}\nwidgets there:\n  " + "\n  ".join(seen)) from None

    def press(self, name, role=None, starts=False):
        """Presses a widget through accessibility, as a screen reader does."""
        node = self.wait(name, role, starts)
        assert node.get_action_iface() is not None, f"{name} cannot be pressed"
        node.get_action_iface().do_action(0)
        time.sleep(0.3)

    def rectangle(self, node):
        """x, y, width, height on the screen."""
        box = node.get_component_iface().get_extents(Atspi.CoordType.SCREEN)
        return box.x, box.y, box.width, box.height


def xdo(*words):
    """One xdotool call, with the pause that a frame needs."""
    subprocess.run(["xdotool", *map(str, words)], check=True)
    time.sleep(0.15)


def click(x, y, button=1):
    """Moves there and clicks, at a person's pace."""
    xdo("mousemove", int(x), int(y))
    xdo("mousedown", button)
    xdo("mouseup", button)


def drag(x0, y0, x1, y1):
    """Presses, moves in steps, releases."""
    xdo("mousemove", int(x0), int(y0))
    xdo("mousedown", 1)
    for step in range(1, 6):
        xdo("mousemove", int(x0 + (x1 - x0) * step / 5), int(y0 + (y1 - y0) * step / 5))
    xdo("mouseup", 1)


def keys(*names):
    """Presses keys one after the other."""
    for name in names:
        xdo("key", "--clearmodifiers", name)


def type_text(text):
    """Types text."""
    xdo("type", "--delay", "40", text)
