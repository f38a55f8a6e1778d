#!/usr/bin/env python3
"""Driver payloads that Vela emits, for the tests of the hardware contract.

Compiles every TFLite model of a folder for every configuration and writes
OUT/MODEL_CONFIGURATION.cop1 and .cop2 with the bytes of the command stream tensor.

Usage: isa_payloads.py MODELS OUT
Needs ethos-u-vela==5.2.0; point SWIFTLET_PAYLOADS at OUT when running the tests.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

CONFIGURATIONS = [
    "u55-32", "u55-64", "u55-128", "u55-256", "u65-256", "u65-512",
    "u85-128", "u85-256", "u85-512", "u85-1024", "u85-2048",
]


def compile_one(model: Path, configuration: str, container: str, out: Path) -> None:
    """Writes the payload of one model, if Vela maps it to the NPU alone."""
    with tempfile.TemporaryDirectory() as folder:
        vela = Path(sys.executable).with_name("vela")
        result = subprocess.run(
            [vela, model, "--accelerator-config", "ethos-" + configuration, "--output-format", "raw",
             "--cop-format", container.upper(), "--output-dir", folder],
            capture_output=True, check=False)
        for archive in Path(folder).glob("*.npz"):
            data = numpy.load(archive)["cmd_data"].tobytes()
            (out / f"{model.stem}_{configuration}.{container}").write_bytes(data)
            return
        print(f"{model.stem} {configuration}: none ({result.returncode})")


def main() -> None:
    models, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for model in sorted(models.glob("*.tflite")):
        for configuration in CONFIGURATIONS:
            for container in ("cop1", "cop2"):
                compile_one(model, configuration, container, out)


if __name__ == "__main__":
    main()
