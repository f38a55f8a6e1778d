#!/usr/bin/env python3
"""Times inferences of shared models: compiled by Vela on the simulator, and plain on the CPU kernels.

usage: inference.py SWIFTLET MODELS WORK

A time is what one inference adds to a run of the tool, the best of three: reading the file, checking the
stream and writing outputs count, the start of the process does not.
"""
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np
from ai_edge_litert import schema_py_generated as schema

CASES = [("person_detect", "ethos-u55-128"), ("mobilenet_v2_1.0_224_quant", "ethos-u55-128"),
         ("mobilenet_v2_1.0_224_quant", "ethos-u85-512"), ("person_detect", "cpu"),
         ("mobilenet_v2_1.0_224_quant", "cpu")]


def timed(command):
    """The least wall and processor seconds of three runs."""
    best = (1e9, 1e9)
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best[0], wall), min(best[1], spent)
    return best


def main():
    swiftlet, models, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    idle = timed([swiftlet, "--help"])
    for name, config in CASES:
        path = models / f"{name}.tflite"
        if config != "cpu":
            code = ("import sys; from ethosu.vela import vela; sys.exit(vela.main(sys.argv[1:]))")
            subprocess.run([sys.executable, "-c", code, "--accelerator-config", config, "--output-dir",
                            str(work), str(path)], check=True, capture_output=True)
            path = work / f"{name}_vela.tflite"
        graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
        tensor = graph.Tensors(graph.Inputs(0))
        values = np.random.default_rng(1).integers(0, 256, tensor.ShapeAsNumpy()).astype(np.uint8)
        kind = np.int8 if tensor.Type() == schema.TensorType.INT8 else np.uint8
        np.save(work / "input.npy", values.view(kind))
        wall, spent = timed([swiftlet, "simulate", str(path), "--input",
                             f"{tensor.Name().decode()}={work / 'input.npy'}"])
        print(f"{name} on {config}: {(wall - idle[0]) * 1e3:.0f} ms, "
              f"{(spent - idle[1]) * 1e3:.0f} ms of processor time")


main()
