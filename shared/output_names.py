"""Which outputs a job can have: their kinds, formats and names (`{kind}.{format}`). Uses the standard library only."""

from __future__ import annotations

from typing import NamedTuple

OUTPUT_KINDS = {
    "valid": ("csv", "xlsx", "parquet", "ndjson"),
    "rejected": ("csv", "xlsx"),
    "annotated": ("xlsx", "csv"),
    "errors": ("csv", "ndjson", "parquet", "xlsx"),
}
"""The formats of each kind."""
OUTPUT_NAMES = tuple(f"{kind}.{format_name}" for kind, formats in OUTPUT_KINDS.items() for format_name in formats)
MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "ndjson": "application/x-ndjson",
}
ROWS = "rows.index"
"""The name of what `GET …/rows` is answered from; it is made like an output and is none that clients see."""


class OutputName(NamedTuple):
    """A kind and one of its formats."""

    kind: str
    format: str

    def __str__(self) -> str:
        """Return the name as clients write it."""
        return f"{self.kind}.{self.format}"


def parse_output_name(text: str) -> OutputName | None:
    """Return the kind and format of an output's name; None if there is no such output."""
    return OutputName(*text.split(".")) if text in OUTPUT_NAMES else None
