"""Detect the dialect of files with one tool, in a process of its own: `python -m bench.run_dialects TOOL LIST`; LIST has one path in each line.

Prints as JSON the delimiter and the quote character of each file, null where the tool gives up.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.probe import report_run

_SNIFFED_CHARACTERS = 6144
"""What CSVsniffer's published comparison gives Python's and CleverCSV's sniffers."""


def detect_with_rowgate(path: Path) -> tuple[str | None, str | None]:
    """Return what the reader finds; a table of one column has no delimiter, which counts as the comma."""
    from features.processing.readers.base import ReadLimits  # noqa: PLC0415 - not in the peers' environment
    from features.processing.readers.csv.table import open_csv  # noqa: PLC0415

    table = open_csv(path, dialect=None, encoding="utf-8", limits=ReadLimits())
    table.close()
    return table.source.delimiter or ",", table.source.quote_char


def detect_with_duckdb(path: Path) -> tuple[str | None, str | None]:
    """Return what `sniff_csv` finds."""
    import duckdb  # noqa: PLC0415 - only this peer needs it

    found = duckdb.execute("SELECT Delimiter, Quote FROM sniff_csv(?)", [str(path)]).fetchone()
    assert found is not None
    return found[0], found[1] or '"'


def detect_with_clevercsv(path: Path) -> tuple[str | None, str | None]:
    """Return what CleverCSV's consistency measure finds."""
    import clevercsv  # type: ignore[import-not-found]  # noqa: PLC0415 - lives in the peers' environment

    found = clevercsv.Sniffer().sniff(path.read_text("utf-8")[:_SNIFFED_CHARACTERS])
    return (found.delimiter or ",", found.quotechar or '"') if found is not None else (None, None)


def detect_with_python(path: Path) -> tuple[str | None, str | None]:
    """Return what the standard library's sniffer finds."""
    found = csv.Sniffer().sniff(path.read_text("utf-8")[:_SNIFFED_CHARACTERS])
    return found.delimiter, found.quotechar


TOOLS: Mapping[str, Callable[[Path], tuple[str | None, str | None]]] = {
    "rowgate": detect_with_rowgate,
    "duckdb": detect_with_duckdb,
    "clevercsv": detect_with_clevercsv,
    "python": detect_with_python,
}


def detect_all(tool: str, paths: list[Path]) -> Mapping[str, Any]:
    """Return the dialects that a tool finds."""
    found: list[tuple[str | None, str | None]] = []
    for path in paths:
        try:
            found.append(TOOLS[tool](path))
        except Exception:  # noqa: BLE001 - whatever a tool fails with, it found nothing
            found.append((None, None))
    return {"found": found}


if __name__ == "__main__":
    report_run(lambda: detect_all(sys.argv[1], [Path(line) for line in Path(sys.argv[2]).read_text().splitlines()]))
