"""One engine with one model: loads it, runs it once to warm up, then runs it for each line on stdin.

    python worker.py ENGINE NAME PRECISION THREADS FOLDER [--one-by-one]

Answers on stdout: `ready VERSION`, then the milliseconds of each run. --one-by-one: the model of one prompt, 64 times.
"""

import os
import pathlib
import sys
import time

# Libraries print to stdout; the answers keep it for themselves.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def load_torch(name, precision, threads, folder):
    import torch

    import models

    torch.set_num_threads(threads)
    module, inputs = models.build(name)
    inputs = list(inputs.values())
    # Convolutional encoders are quicker with channels last; the others are not.
    if name in ("spark-sam-encoder", "mobile-sam-encoder"):
        module = module.to(memory_format=torch.channels_last)
        inputs = [value.contiguous(memory_format=torch.channels_last) for value in inputs]

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            module(*inputs)

    return run, torch.__version__


def load_inputs(name, folder):
    import numpy as np

    with np.load(folder / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def load_onnxruntime(name, precision, threads, folder):
    import onnxruntime

    if precision != "f32":
        raise SystemExit("onnxruntime has no bf16 kernels for CPUs")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    inputs = load_inputs(name, folder)
    inputs = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
    return lambda: session.run(None, inputs), onnxruntime.__version__


def load_openvino(name, precision, threads, folder):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(core.read_model(folder / f"{name}.onnx"), "CPU", settings)
    request = model.create_infer_request()
    inputs = load_inputs(name, folder)
    for entry in model.inputs:
        request.set_tensor(entry, openvino.Tensor(inputs[entry.get_any_name()]))
    return request.infer, openvino.__version__.split("-")[0]


def main():
    engine, name, precision, threads, folder = sys.argv[1:6]
    one_by_one = "--one-by-one" in sys.argv
    if one_by_one:
        name = name.removesuffix("-64")
    load = {"torch": load_torch, "onnxruntime": load_onnxruntime, "openvino": load_openvino}[engine]
    single, version = load(name, precision, int(threads), pathlib.Path(folder))

    def run():
        for _ in range(64 if one_by_one else 1):
            single()

    run()
    print(f"ready {version}", file=answers)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(f"{(time.perf_counter() - start) * 1e3:.4f}", file=answers)


main()
