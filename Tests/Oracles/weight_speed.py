#!/usr/bin/env python3
"""Times Arm's weight codec on the weights of a file of little-endian int16.

usage: weight_speed.py FILE

Prints its rates of encoding and decoding in million weights a second of processor time, and the size.
"""
import pathlib
import sys
import time

import numpy as np
from ethosu import mlw_codec


def main():
    weights = np.frombuffer(pathlib.Path(sys.argv[1]).read_bytes(), "<i2").tolist()
    start = time.process_time()
    stream = mlw_codec.encode(weights)
    encoded = time.process_time()
    decoded = mlw_codec.decode(bytearray(stream))
    end = time.process_time()
    if decoded != weights:
        sys.exit("Arm's decoder gives other weights")
    encode, decode = (len(weights) / max(s, 1e-9) / 1e6 for s in (encoded - start, end - encoded))
    print(f"encode {encode:.1f} M/s, decode {decode:.1f} M/s, {len(stream)} bytes")


main()
