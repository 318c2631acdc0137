"""Import what a process imports at its start, in a separate process: `python -m bench.run_start frameworks|main|celery_app`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

from bench.probe import report_run

FRAMEWORKS = ("fastapi", "fastapi_offline", "sqlalchemy.ext.asyncio", "asyncpg", "celery", "kombu", "redis.asyncio", "pydantic_settings", "structlog", "aiodns")
MODULES = {"frameworks": FRAMEWORKS, "main": ("main",), "celery_app": ("celery_app", "features.processing.run", "features.processing.make_output")}
PLACES = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": os.devnull}


def import_all(kind: str) -> Mapping[str, int]:
    """Import the modules, and count all that came with them."""
    for name in MODULES[kind]:
        importlib.import_module(name)
    return {"rows": len(sys.modules)}


if __name__ == "__main__":
    os.environ.update(PLACES)
    report_run(lambda: import_all(sys.argv[1]))
