#!/usr/bin/env python3
"""Writes a llama2.c checkpoint with random weights, for benchmarks of size and speed.

usage: generate_checkpoint.py OUT [dim layers heads hidden vocabulary context]
The default is the 15M shape: 288 6 6 768 32000 256.
"""
import struct
import sys

import numpy as np


def main():
    out = sys.argv[1]
    shape = [int(v) for v in sys.argv[2:]] or [288, 6, 6, 768, 32000, 256]
    dim, layers, heads, hidden, vocabulary, context = shape
    random = np.random.default_rng(1)

    def matrix(*extents):
        return (random.standard_normal(extents) / np.sqrt(extents[-1])).astype("<f4")

    with open(out, "wb") as file:
        file.write(struct.pack("<7i", dim, hidden, layers, heads, heads, vocabulary, context))
        file.write((random.standard_normal((vocabulary, dim)) * 0.05).astype("<f4").tobytes())
        file.write(np.ones((layers, dim), "<f4").tobytes())
        for _ in range(4):
            file.write(matrix(layers, dim, dim).tobytes())
        file.write(np.ones((layers, dim), "<f4").tobytes())
        file.write(matrix(layers, hidden, dim).tobytes())
        file.write(matrix(layers, dim, hidden).tobytes())
        file.write(matrix(layers, hidden, dim).tobytes())
        file.write(np.ones(dim, "<f4").tobytes())
        file.write(np.zeros(context * (dim // heads), "<f4").tobytes())


main()
