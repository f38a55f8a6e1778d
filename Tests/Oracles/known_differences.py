"""Differences between interpreters and compiler, each an entry of Docs/HardwareContract.md.

An entry is narrow: operator, configuration, and how far the outputs may be apart. Anything else fails.
"""

import re


def largest(detail, interpreter):
    """The largest gap to one interpreter that a detail line tells, or None."""
    gaps = re.findall(interpreter + r": \d+ of \d+, up to (\d+)", detail)
    return max(map(int, gaps)) if gaps else None


def explain(name, config, verdict, detail):
    """The cause of a disagreement, or None when there is none known."""
    micro, lite = largest(detail, "micro"), largest(detail, "litert")
    if verdict == "hazard":
        if name.startswith("BATCH_MATMUL-") and "u85" in config and "IFM2 may be read" in detail:
            return "BATCH_MATMUL on U85: Vela's BLOCKDEP lets a kernel read an operand that is not written"
        return None
    if verdict != "differs":
        return None
    if name.startswith("SUM-2axes-"):
        return "SUM over two axes: the compiler adds along the first of them only"
    if name.startswith("SUM-") and micro == 1:
        return "SUM: the stream rounds once, TFLite Micro twice; LiteRT ignores zero points"
    if name.startswith("GELU-") and micro in (None, 1) and lite == 1:
        return "GELU: the compiler's table and the interpreter's differ by one"
    if name.startswith("FULLY_CONNECTED-uint8") and micro is None and lite == 1:
        return "FULLY_CONNECTED of uint8: LiteRT rounds once, the stream twice"
    if name.startswith("TRANSPOSE-uint8") and ("u55" in config or "u65" in config):
        return "TRANSPOSE of uint8 on U55 and U65: Vela's stream takes bytes as signed and clamps them"
    return None
