"""Differences between interpreters and compiler that have a cause outside the simulator.

Each entry is a case of Docs/HardwareContract.md, "Where references and compilers differ".
"""


def explain(name, config, verdict, detail):
    """The cause of a disagreement, or None when there is none known."""
    return None
