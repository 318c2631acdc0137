"""The formats that are read: each has a `format.py` in its folder below `readers/`, which is found and imported here."""

from __future__ import annotations

import importlib
import pkgutil

from features.processing import readers

for _found in pkgutil.walk_packages(readers.__path__, f"{readers.__name__}."):
    if _found.name.endswith(".format"):
        importlib.import_module(_found.name)
