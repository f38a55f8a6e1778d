"""Random blocks of the GGML block formats, dequantised by the PyPI package `gguf`.

usage: gguf_dequantise.py SEED BLOCKS

Prints, for each format, one line: name, raw bytes in hexadecimal, float32 bit patterns in hexadecimal.
Tests/Golden/block-formats.txt is the output for `1 1`.
"""

import sys

import numpy as np
from gguf import GGMLQuantizationType, quants

# Format: bytes of a block and where its half-precision scales are.
FORMATS = {
    "q4_0": (18, [0]), "q4_1": (20, [0, 2]), "q5_0": (22, [0]), "q5_1": (24, [0, 2]),
    "q8_0": (34, [0]), "q2_k": (84, [80, 82]), "q3_k": (110, [108]), "q4_k": (144, [0, 2]),
    "q5_k": (176, [0, 2]), "q6_k": (210, [208]),
}


def main(seed, blocks):
    rng = np.random.default_rng(seed)
    for name, (size, scales) in FORMATS.items():
        raw = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
        for at in scales:
            # Keep exponents below the one that stands for infinity and NaN.
            raw[:, at + 1] &= 0xBB
        kind = GGMLQuantizationType[name.upper()]
        floats = quants.dequantize(raw.reshape(-1), kind).astype("<f4")
        print(name, raw.tobytes().hex(), floats.tobytes().hex())


main(int(sys.argv[1]), int(sys.argv[2]))
