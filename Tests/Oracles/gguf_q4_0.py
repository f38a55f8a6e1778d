"""A GGUF file's linear weights as llama.cpp's Q4_0 keeps them, for a comparison at 4.5 bits a weight.

usage: gguf_q4_0.py IN.gguf OUT.gguf

Weights of type Q4_1 are dequantised, quantised to Q4_0 by the PyPI package `gguf` (llama.cpp's own Python
form of its quantisers), and written back over the old blocks: a Q4_0 block `d · (q − 8)` is the Q4_1 block
`d · q + m` with `m = −8 d`, exactly. Everything else, an embedding of another type included, stays.
"""

import shutil
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, quants


def main(source, target):
    shutil.copyfile(source, target)
    changed = 0
    with open(target, "r+b") as out:
        for tensor in GGUFReader(source).tensors:
            if tensor.tensor_type != GGMLQuantizationType.Q4_1 or "token_embd" in tensor.name:
                continue
            floats = quants.dequantize(tensor.data, GGMLQuantizationType.Q4_1)
            blocks = quants.quantize(floats, GGMLQuantizationType.Q4_0).reshape(-1, 18)
            new = np.empty((len(blocks), 20), np.uint8)
            scale = blocks[:, :2].copy().view(np.float16)
            new[:, :2] = blocks[:, :2]
            new[:, 2:4] = (scale * np.float16(-8)).view(np.uint8)
            new[:, 4:] = blocks[:, 2:]
            assert new.nbytes == tensor.n_bytes
            out.seek(int(tensor.data_offset))
            out.write(new.tobytes())
            changed += floats.size
    print(f"{changed} weights to Q4_0")


main(*sys.argv[1:3])
