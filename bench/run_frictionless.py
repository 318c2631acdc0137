"""Run frictionless once over a file, in a separate process and environment: `python -m bench.run_frictionless FILE SCHEMA`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import frictionless  # type: ignore[import-not-found]  # lives in the peers' environment
from frictionless import system

from bench.probe import report_run

ALL = 10**9


def validate(path: str, schema: str) -> Mapping[str, Any]:
    """Count the rows and the errors that frictionless finds."""
    with system.use_context(trusted=True):
        report = frictionless.validate(path, schema=schema, limit_errors=ALL)
    return {"rows": report.tasks[0].stats.get("rows"), "errors": report.stats["errors"]}


if __name__ == "__main__":
    report_run(lambda: validate(*sys.argv[1:3]))
