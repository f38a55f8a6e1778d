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
    if verdict != "differs":
        return None
    micro, lite = largest(detail, "micro"), largest(detail, "litert")
    if name.startswith("SUM-") and "u85" in config and micro == 1:
        return "SUM on U85: one apart from TFLite Micro, LiteRT ignores zero points"
    if name.startswith("SUM-2axes-") and "u85" in config:
        return "SUM over two axes on U85: the compiler adds along the first of them only"
    if name.startswith("GELU-") and micro in (None, 1) and lite == 1:
        return "GELU: the compiler's table and the interpreter's differ by one"
    return None
