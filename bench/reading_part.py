"""What one part of the group `reading` gives: how much was read right, beside other tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report import Verdict

HEADINGS = ("What", "Of", "Rowgate", "Others")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPart:
    """The measurements of one part."""

    rows: Sequence[Sequence[str]]
    """Cells under `HEADINGS`."""
    verdicts: Sequence[Verdict]
    peers: Sequence[str]
    """Versions, as `name==version`."""
