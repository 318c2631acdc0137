"""Files that are uploaded: of one size to the byte, whatever is in them."""

from __future__ import annotations

from pathlib import Path

from bench.files import make_csv
from bench.measure import Plan


def make_upload(plan: Plan, size_bytes: int) -> Path:
    """A CSV file of just this size."""
    path = plan.data / f"upload-{size_bytes}.csv"
    if not path.exists() or path.stat().st_size != size_bytes:
        pattern = make_csv(plan.data, rows=min(plan.rows, 100_000), bad_share=0.0).path.read_bytes()
        with path.open("wb") as file:
            left = size_bytes
            while left:
                left -= file.write(pattern[:left])
    return path
