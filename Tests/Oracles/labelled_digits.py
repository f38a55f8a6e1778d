#!/usr/bin/env python3
"""Every fifth of five thousand handwritten digits, as samples and labels of a network, and the network as Arm's
compiler makes it.

usage: labelled_digits.py DIGITS.csv.gz NETWORK.tflite FOLDER

Writes FOLDER/samples.npy (float32, 0 … 1), FOLDER/labels.npy and FOLDER/NETWORK_vela.tflite for an Ethos-U55-128.
"""
import csv
import gzip
import pathlib
import sys

import numpy as np
from ethosu.vela import vela


def main():
    digits, network, folder = sys.argv[1:4]
    with gzip.open(digits, "rt") as lines:
        rows = np.array([[float(value) for value in row] for row in csv.reader(lines)])[::5]
    folder = pathlib.Path(folder)
    np.save(folder / "samples.npy", (rows[:, :784] / 255).astype(np.float32).reshape(-1, 28, 28))
    np.save(folder / "labels.npy", rows[:, 784].astype(np.int32))
    vela.main([network, "--accelerator-config", "ethos-u55-128", "--output-dir", str(folder)])


main()
