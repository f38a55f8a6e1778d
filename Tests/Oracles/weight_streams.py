#!/usr/bin/env python3
"""Decodes weight streams of ours with Arm's codec and compares them with the weights they stand for.

usage: weight_streams.py FOLDER

FOLDER holds pairs NAME.weights (little-endian int16) and NAME.stream. Prints one line a pair: its name, our
size, and the size Arm's encoder needs; fails at the first stream that decodes to anything else.
"""
import pathlib
import sys

import numpy as np
from ethosu import mlw_codec


def main():
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.weights")):
        weights = np.frombuffer(path.read_bytes(), "<i2")
        stream = path.with_suffix(".stream").read_bytes()
        decoded = np.array(mlw_codec.decode(bytearray(stream)), "<i2")
        if not np.array_equal(decoded[: len(weights)], weights) or len(decoded) != len(weights):
            sys.exit(f"{path.stem}: Arm's decoder gives other weights")
        arm = mlw_codec.encode(weights.tolist())
        print(path.stem, len(stream), len(arm))


main()
