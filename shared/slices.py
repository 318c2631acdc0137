"""Find and import the slices: adding a folder adds a feature, with no other edit."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


def load(package: str, module: str) -> Sequence[ModuleType]:
    """Import `module` of every sub-package of `package` that has one, in the order of their names.

    Import errors are never swallowed: a slice that cannot be imported stops the start with the real error. Raises `ImportError` if a folder has the
    module but no `__init__.py`.
    """
    parent = importlib.import_module(package)
    for folder in parent.__path__:
        for found in Path(folder).glob(f"*/{module}.py"):
            if not (found.parent / "__init__.py").exists():
                raise ImportError(f"{found.parent} has a {found.name} and no __init__.py: it would be skipped silently")
    loaded = []
    for info in sorted(pkgutil.iter_modules(parent.__path__), key=lambda found: found.name):
        if not info.ispkg:
            continue
        name = f"{package}.{info.name}.{module}"
        importlib.import_module(f"{package}.{info.name}")
        if importlib.util.find_spec(name) is not None:
            loaded.append(importlib.import_module(name))
    return loaded


DECLARATIONS = ("formats", "events", "metrics")
"""Modules of a slice that every process loads, whether it serves HTTP or runs tasks. They are light and only declare things."""


def load_declarations(package: str) -> None:
    """Import what every slice declares: the file formats it reads, the events it subscribes to, and its metrics."""
    for module in DECLARATIONS:
        load(package, module)
