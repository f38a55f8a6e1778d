#!/usr/bin/env python3
"""Compares the cycles of our softmax, and of our attention on a U55, with Vela's lowering of the same, in our
simulator.

usage: softmax.py SWIFTLET

Ours is part of attention: its kernels and table transfers in a compiled one-layer model of that many heads
and positions. Vela's is a model of one SOFTMAX, compiled by Vela and simulated as a whole, which adds the few
hundred cycles a job takes to begin and end. Both run in the memories of Arm's evaluation kit.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Oracles"))
from tflite_writer import Model  # noqa: E402

HERE = Path(__file__).resolve().parent
#: NPU and the target of the same configuration and memories.
NPUS = [("ethos-u55-256", "corstone-300-u55-256"), ("ethos-u85-256", "corstone-320")]
SHAPES = [(8, 64), (6, 256)]
#: Kernels that divide attention's result.
DIVISION_KERNELS = 2


def softmax_kernels(length):
    """Kernels of our softmax, from the largest score, which long rows find in two steps, to the reciprocal."""
    return 7 if length >= 128 and length % 16 == 0 else 6




def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments[:2]} failed: {done.stderr[-600:]}")
    return done.stdout


def total(listing):
    for line in listing.splitlines():
        if line.startswith("NPU cycles"):
            return int(line.split()[-1].replace(",", ""))
    sys.exit("no cycles in the listing")


def vela(swiftlet, folder, rows, length, dtype, npu):
    model = Model()
    scale = 16 / (256 if dtype == "int8" else 65536)
    source = model.input((1, rows, length), dtype, scale)
    result = (1 / 256, -128) if dtype == "int8" else (1 / 32768, 0)
    out = model.output((1, rows, length), dtype, *result)
    model.op("SOFTMAX", [source], [out], "SoftmaxOptions", 2, beta=1.0)
    path = folder / f"softmax_{rows}x{length}_{dtype}.tflite"
    path.write_bytes(model.bytes())
    run(Path(sys.executable).with_name("vela"), path, "--accelerator-config", npu, "--output-dir", folder)
    values = folder / "values.npy"
    np.save(values, np.zeros((1, rows, length), dtype))
    return total(
        run(swiftlet, "simulate", folder / (path.stem + "_vela.tflite"), "--input", f"in0={values}"))


def ours(swiftlet, folder, heads, length, target):
    checkpoint = folder / f"m{heads}x{length}.bin"
    shape = [str(n) for n in (heads * 16, 1, heads, 64, 256, length)]
    run(sys.executable, HERE / "generate_checkpoint.py", checkpoint, *shape)
    package = folder / f"p{heads}x{length}-{target}"
    run(swiftlet, "compile", checkpoint, "--target", target, "--context", length, "-o", package)
    # Attention is the first run of kernels with its name, tables among them: scores, the mask, softmax, values,
    # the division.
    rows = []
    for line in run(swiftlet, "simulate", package).splitlines():
        words = line.split()
        if not words or not words[0].isdigit():
            continue
        is_table = "dma" in words
        if words[-1] == "layers.0.attention" or (is_table and rows):
            rows.append((is_table, int(words[1].replace(",", ""))))
        elif rows:
            break
    while rows[-1][0]:
        rows.pop()
    kernels = [i for i, (is_table, _) in enumerate(rows) if not is_table]
    around, odd = divmod(len(kernels) - 1 - softmax_kernels(length) - DIVISION_KERNELS, 2)
    if odd:
        sys.exit("attention has another number of kernels than this script knows")
    first, last = kernels[around + 1], kernels[around + softmax_kernels(length)]
    softmax = sum(cycles for _, cycles in rows[first:last + 1] + rows[kernels[-DIVISION_KERNELS]:])
    return softmax, sum(cycles for _, cycles in rows)


def products(swiftlet, folder, heads, length, width):
    """Cycles of both products of such an attention as Vela lowers them on a U55: multiplied element by element,
    then added up."""
    cycles = 0
    for name, inner, outer in [("scores", width, length), ("values", length, width)]:
        model = Model()
        a = model.input((1, heads, 1, inner), "int8", 1 / 16)
        b = model.input((1, heads, outer, inner), "int8", 1 / 16)
        out = model.output((1, heads, 1, outer), "int8", 1.0)
        model.op("BATCH_MATMUL", [a, b], [out], "BatchMatMulOptions", 1, adjX=False, adjY=True)
        path = folder / f"{name}_{heads}x{length}.tflite"
        path.write_bytes(model.bytes())
        run(Path(sys.executable).with_name("vela"), path, "--accelerator-config", "ethos-u55-256",
            "--output-dir", folder)
        for index, shape in [(0, (1, heads, 1, inner)), (1, (1, heads, outer, inner))]:
            np.save(folder / f"{index}.npy", np.zeros(shape, np.int8))
        cycles += total(
            run(swiftlet, "simulate", folder / (path.stem + "_vela.tflite"), "--input",
                f"in0={folder / '0.npy'}", "--input", f"in1={folder / '1.npy'}"))
    return cycles


def main():
    swiftlet = sys.argv[1]
    print("| NPU | rows x length | ours | Vela int8 | Vela int16 | ours / int8 | ours / int16 |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for npu, target in NPUS:
            for rows, length in SHAPES:
                narrow = vela(swiftlet, folder, rows, length, "int8", npu)
                wide = vela(swiftlet, folder, rows, length, "int16", npu)
                own, attention = ours(swiftlet, folder, rows, length, target)
                print(f"| {npu} | {rows} x {length} | {own:,} | {narrow:,} | {wide:,} "
                      f"| {own / narrow:.2f} | {own / wide:.2f} |")
        print("\nAttention of one token (scores, softmax, values) against multiplying and adding up the scores and the values "
              "alone, U55-256\n")
        print("| heads x positions x channels | ours, all of it | Vela's two products | ratio |")
        print("|---|---:|---:|---:|")
        for rows, length in SHAPES:
            _, attention = ours(swiftlet, folder, rows, length, NPUS[0][1])
            pair = products(swiftlet, folder, rows, length, 16)
            print(f"| {rows} x {length} x 16 | {attention:,} | {pair:,} | {attention / pair:.2f} |")


main()
