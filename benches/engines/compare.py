"""Compares engines on the same models, taking turns, and prints a Markdown table. `run` calls it with its set-up done.

Each engine is a process of its own for each model: it loads, runs once to warm up, and then answers one request at a
time, so that no two compute at once and a noisy moment hits all alike. Medians of all turns.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import models

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "target" / "engines"
ENGINES = ["ours", "candle", "torch", "onnxruntime", "openvino"]
OWN = ("ours", "candle")
# Their memory together would not fit: they are started for each turn and ended after it.
HEAVY = {"sam-b-encoder"}
# Milliseconds of requests that a turn of one engine holds at least: short ones are asked several times.
TURN_MS = 200
# A turn in which other programs took more than this share of the processor is left out where enough others remain.
DISTURBED = 0.1
ENOUGH = 3
TICKS = os.sysconf("SC_CLK_TCK")
# Threads that spin after a run would disturb the next engine's.
REST_S = 0.15
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MASKWRIGHT_CPU": "avx2"}
# The engines that obey those variables: only they are compared with each other.
HELD_TO_AVX2 = {"ours", "torch"}


def busy_ticks():
    """Ticks in which some core was not idle, stolen ones included."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def ticks_of(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def put_before_others(nice):
    """Gives this process that priority: also among sessions, which Linux schedules as groups whatever is in them."""
    if nice == 0:
        return
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    group = pathlib.Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(nice))


def wait_for_quiet(patience_s):
    """Waits until other programs leave the processor alone, but no longer than told."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        before = busy_ticks()
        time.sleep(0.5)
        if busy_ticks() - before <= DISTURBED * 0.5 * TICKS * os.cpu_count():
            return


class Worker:
    """One engine with one model."""

    def __init__(self, engine, name, precision, way, options):
        environment = os.environ | {"RAYON_NUM_THREADS": str(options.threads), "OMP_NUM_THREADS": str(options.threads)}
        if options.isa == "avx2":
            environment |= AVX2
        if engine in OWN:
            command = [options.program, "bench", "--turns", "--random-weights", "--only", name]
            command += ["--engine", engine, "--precision", precision]
        else:
            command = [sys.executable, HERE / "worker.py", engine, name, precision, str(options.threads)]
            command += [CACHE / "models"] + (["--one-by-one"] if way == "1 by 1" else [])
        self.log = (CACHE / "logs" / f"{engine}.{name}.{precision}.{way or 'plain'}.txt").open("w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
            preexec_fn=lambda: put_before_others(options.priority),
        )
        self.version = self.answer().removeprefix("ready").strip()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            lines = [line for line in self.log.read().splitlines() if line.strip()]
            # Python's tracebacks say it last, our program says it first.
            said = [line for line in lines if "error" in line.lower()] or lines
            raise RuntimeError(said[-1].strip() if said else f"ended with {self.process.returncode}")
        return line.strip()

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.answer())

    def turn(self):
        """Milliseconds of some runs, and the share of the processor that other programs had meanwhile."""
        times = []
        start, busy, own = time.monotonic(), busy_ticks(), ticks_of(self.process.pid)
        while sum(times) < TURN_MS:
            times.append(self.run())
        others = busy_ticks() - busy - (ticks_of(self.process.pid) - own)
        return times, max(0, others - 1) / ((time.monotonic() - start) * TICKS * os.cpu_count())

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


class Contender:
    """An engine on one model over all turns."""

    def __init__(self, engine, precision, way):
        self.engine, self.precision, self.way = engine, precision, way
        self.worker, self.peak, self.failure, self.version = None, 0.0, None, ""
        # A list of milliseconds and the disturbance, for each turn.
        self.turns = []

    def start(self, name, options):
        if self.failure or self.worker:
            return
        try:
            self.worker = Worker(self.engine, name, self.precision, self.way, options)
            self.version = self.worker.version
        except (RuntimeError, OSError) as error:
            self.failure = str(error)

    def turn(self, patience_s):
        if not self.worker:
            return
        try:
            wait_for_quiet(patience_s)
            self.turns.append(self.worker.turn())
            self.peak = max(self.peak, self.worker.peak_mib())
        except (RuntimeError, OSError) as error:
            self.failure, self.worker = str(error), None

    def stop(self):
        if self.worker:
            self.worker.stop()
            self.worker = None

    def quiet(self):
        return [times for times, disturbed in self.turns if disturbed <= DISTURBED]

    def median(self):
        """Of the quiet turns, or of the least disturbed where these are too few; `None` after a failure."""
        calmest = [times for times, _ in sorted(self.turns, key=lambda turn: turn[1])]
        chosen = calmest[: max(ENOUGH, len(self.quiet()))]
        return statistics.median(sum(chosen, [])) if chosen and not self.failure else None

    def is_doubtful(self):
        return len(self.quiet()) < min(ENOUGH, len(self.turns))


def ways(engine, name):
    """How an engine may answer many prompts: ours one after the other, the others also in one batch."""
    return ["batch", "1 by 1"] if name.endswith("-64") and engine not in OWN else [None]


def contest(name, options):
    contenders = [
        Contender(engine, precision, way)
        for precision in options.precision
        for engine in options.engines
        for way in ways(engine, name)
        if precision == "f32" or engine not in ("candle", "onnxruntime")
    ]
    for turn in range(options.turns):
        for contender in contenders:
            contender.start(name, options)
            contender.turn(options.patience)
            if name in HEAVY:
                contender.stop()
            time.sleep(REST_S)
        print(f"{name}: turn {turn + 1} of {options.turns}", file=sys.stderr)
    for contender in contenders:
        contender.stop()
    return contenders


def measured_peak(options):
    """GFLOP/s of a loop that works on registers only, in all threads."""
    program = CACHE / f"peak-{options.isa}"
    flags = ["-mno-avx512f"] if options.isa == "avx2" else []
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O3", "-march=native", *flags, "-pthread", HERE / "peak.c", "-o", program], check=True)
    before = lambda: put_before_others(options.priority)  # noqa: E731
    run = subprocess.run([program, str(options.threads)], check=True, capture_output=True, preexec_fn=before)
    return json.loads(run.stdout)


def gflop(name):
    single = name.removesuffix("-64")
    path = CACHE / "models" / f"{single}.json"
    return json.loads(path.read_text())["gflop"] * (64 if name != single else 1)


def export(names):
    """Writes the ONNX files that are not there yet."""
    folder = CACHE / "models"
    folder.mkdir(parents=True, exist_ok=True)
    (CACHE / "logs").mkdir(exist_ok=True)
    for name in sorted({*names, *(name.removesuffix("-64") for name in names)}):
        if not (folder / f"{name}.json").exists():
            print(f"exporting {name}", file=sys.stderr)
            subprocess.run([sys.executable, HERE / "models.py", name, folder], check=True)


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags")).split()
    extensions = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile") if flag in flags]
    return f"{model}, {os.cpu_count()} cores, {', '.join(extensions)}"


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def best_of(contenders, engine):
    """The engine's contender with its fastest way; the first where all failed."""
    mine = [contender for contender in contenders if contender.engine == engine]
    done = [contender for contender in mine if contender.median()]
    return min(done, key=Contender.median) if done else mine[0] if mine else None


def table(results, precision, peak, options):
    """Rows of median ms (% of peak; peak MiB), and our ratio to the fastest other engine of this precision."""
    columns = [engine for engine in options.engines if precision == "f32" or engine not in ("candle", "onnxruntime")]
    lines = [f"| {precision} | {' | '.join(columns)} | ours / fastest other |", "|" + " --- |" * (len(columns) + 2)]
    notes = []
    for name, contenders in results.items():
        here = [contender for contender in contenders if contender.precision == precision]
        cells, others = [], {}
        ours = None
        for engine in columns:
            best = best_of(here, engine)
            median = best.median()
            if median is None:
                cells.append("-")
                notes.append(f"{name}, {engine}, {precision}: {best.failure}")
                continue
            roof = peak[precision]
            share = f"{gflop(name) / (median / 1e3) / roof * 100:.0f} %; " if roof else ""
            way = f", {best.way}" if best.way else ""
            cells.append(f"{number(median)} ({share}{best.peak:.0f} MiB{way}){' ?' if best.is_doubtful() else ''}")
            if engine == "ours":
                ours = median
            elif options.isa == "native" or engine in HELD_TO_AVX2:
                others[engine] = median
        fastest = min(others, key=others.get) if others else None
        ratio = f"{ours / others[fastest]:.2f} ({fastest})" if ours and fastest else "-"
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio} |")
    return lines, notes


def main():
    parser = argparse.ArgumentParser(prog="benches/engines/run", description=__doc__)
    listed = lambda text: [word for word in text.split(",") if word]  # noqa: E731
    parser.add_argument("--only", type=listed, default=models.NAMES, metavar="NAME,...", help=", ".join(models.NAMES))
    parser.add_argument("--engines", type=listed, default=ENGINES, metavar="ENGINE,...", help=", ".join(ENGINES))
    parser.add_argument("--precision", type=listed, default=["f32"], metavar="f32,bf16")
    parser.add_argument("--turns", type=int, default=5, help="rounds of all engines (default 5)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", choices=["native", "avx2"], default="native", help="avx2: hold ours and torch to AVX2")
    parser.add_argument(
        "--patience", type=float, default=10, metavar="SECONDS", help="longest wait for a quiet moment before a turn"
    )
    parser.add_argument(
        "--priority", type=int, default=0, metavar="NICE", help="of the engines; below 0 (as root) others must wait"
    )
    parser.add_argument("--program", default=ROOT / "target" / "release" / "maskwright", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for kind, asked, known in [
        ("--only", options.only, models.NAMES),
        ("--engines", options.engines, ENGINES),
        ("--precision", options.precision, ["f32", "bf16"]),
    ]:
        for word in asked:
            if word not in known:
                parser.error(f"{kind}: {word} is not known; choose from {', '.join(known)}")
    if options.turns < 1 or options.threads < 1:
        parser.error("--turns and --threads must be at least 1")
    export(options.only)
    peak = measured_peak(options)
    results = {}
    try:
        for name in options.only:
            results[name] = contest(name, options)
    except KeyboardInterrupt:
        print("interrupted: the table holds what was finished", file=sys.stderr)
    # A noisy moment lowers it, nothing raises it.
    again = measured_peak(options)
    peak = {precision: max(peak[precision] or 0, again[precision] or 0) or None for precision in peak}
    versions = {c.engine: c.version for contenders in results.values() for c in contenders if c.version}
    words = [word for at, word in enumerate(sys.argv) if at > 0 and "--program" not in sys.argv[at - 1 : at + 1]]
    print(f"`{' '.join(['benches/engines/run', *words])}`")
    print()
    print(f"{datetime.date.today()}, {processor()}, {options.threads} threads, {options.turns} turns; ", end="")
    print(f"peak of registers {', '.join(f'{p} {v:.0f} GFLOP/s' for p, v in peak.items() if v)}; ", end="")
    print(f"{', '.join(f'{engine} {version}' for engine, version in versions.items())}, Python {platform.python_version()}.")
    print("Cells: median ms (share of that peak; largest resident memory of the process, Python included); `?`: other")
    print(f"programs had more than {DISTURBED:.0%} of the processor in most turns.")
    if options.isa == "avx2":
        print(f"Held to AVX2: {', '.join(sorted(HELD_TO_AVX2))}; the others choose freely and are not in the ratio.")
    for precision in options.precision:
        lines, notes = table(results, precision, peak, options)
        print("", *lines, sep="\n")
        if notes:
            print("", *(f"- {note}" for note in notes), sep="\n")


main()
