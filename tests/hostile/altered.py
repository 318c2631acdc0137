"""Start a program with other constants: `python -m tests.hostile.altered PACKAGE.MODULE.NAME=NUMBER,… MODULE ARGUMENT…`.

Deadlines of half a minute would make tests slow; nothing else is altered.
"""

from __future__ import annotations

import importlib
import runpy
import sys

from shared import slices


def main() -> None:
    changes, module, *arguments = sys.argv[1:]
    slices.load_declarations("features")  # as every process of the service does first
    for change in changes.split(","):
        place, _, value = change.partition("=")
        owner, _, name = place.rpartition(".")
        assert hasattr(importlib.import_module(owner), name), place
        setattr(importlib.import_module(owner), name, float(value))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
