"""Register all file formats: imports every module named `format` in the packages below `readers/`."""

from __future__ import annotations

import importlib
import pkgutil

from features.processing import readers

for _found in pkgutil.walk_packages(readers.__path__, f"{readers.__name__}."):
    if _found.name.endswith(".format"):
        importlib.import_module(_found.name)
