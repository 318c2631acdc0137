"""Make files of an exact size to upload, whatever their contents, and run the process that sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.files import make_csv
from bench.measure import Plan, RunFailed, run_json
from bench.run_load import Load


def make_upload(plan: Plan, size_bytes: int) -> Path:
    """Make a CSV file of exactly this size."""
    path = plan.data / f"upload-{size_bytes}.csv"
    if not path.exists() or path.stat().st_size != size_bytes:
        pattern = make_csv(plan.data, rows=min(plan.rows, 100_000), bad_share=0.0).path.read_bytes()
        with path.open("wb") as file:
            left = size_bytes
            while left:
                left -= file.write(pattern[:left])
    return path


def try_load(url: str, load: Load) -> Mapping[str, Any]:
    """Run `bench.run_load` in a separate process and return its result, in which requests may have failed. Raises `RunFailed`."""
    return run_json("bench.run_load", url, json.dumps(asdict(load)))


def run_load(url: str, load: Load) -> Mapping[str, Any]:
    """Run `bench.run_load` and return its result. Raises `RunFailed`, also if any request failed."""
    facts = try_load(url, load)
    if facts["failures"]:
        raise RunFailed(f"Of {load.clients} clients some failed: {facts['failures']}")
    return facts


def name_size(size_bytes: float) -> str:
    """Return the size in a readable form, in powers of 1000."""
    return next(f"{size_bytes / unit:g} {name}" for unit, name in ((1e6, "MB"), (1e3, "KB"), (1, "B")) if size_bytes >= unit)
