"""Measure how often delimiter and quote character are found, beside DuckDB's sniffer, CleverCSV and Python's csv.Sniffer, on public annotated files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.dialect_files import AnnotatedFile, list_dialect_files
from bench.measure import DATA, run_json, say
from bench.peers import prepare_peers

TARGET_PERCENT = 97.0
_NAMES = {"rowgate": "Rowgate", "duckdb": "DuckDB's sniffer", "clevercsv": "CleverCSV", "python": "Python's csv.Sniffer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectMeasurements:
    """What each tool found."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    """For each tool, as percentages: dialects by set, then of all files the delimiters alone and the dialects; and milliseconds a file."""
    percent: float
    """Dialects (delimiter, and quote character where the file has quotes) that Rowgate finds."""
    best_peer_percent: float
    files: int


def measure_dialects(peer_python: str | None = None) -> DialectMeasurements:
    """Run all tools on all files. Raises `RunFailed` if the files cannot be fetched, or if a tool does not run."""
    files = list_dialect_files()
    paths = DATA / "dialects" / "paths.txt"
    paths.write_text("".join(f"{file.path}\n" for file in files))
    sets = list(dict.fromkeys(file.set_name for file in files))
    peer_python = peer_python or prepare_peers()
    rows: list[list[str]] = []
    percents: dict[str, float] = {}
    for tool, name in _NAMES.items():
        say(f"dialects: {name}")
        own = {"python": peer_python} if tool in ("duckdb", "clevercsv") else {}
        facts = run_json("bench.run_dialects", tool, str(paths), **own)
        judged = [_judge(file, *found) for file, found in zip(files, facts["found"], strict=True)]
        percents[tool] = _percent([is_dialect for _, is_dialect in judged])
        rows.append(
            [
                name,
                *(f"{percent:.1f}" for percent in _by_set(files, judged, sets).values()),
                f"{_percent([is_delimiter for is_delimiter, _ in judged]):.1f}",
                f"{percents[tool]:.1f}",
                f"{facts['wall_s'] / len(files) * 1000:.1f}",
            ]
        )
    return DialectMeasurements(
        headings=["Tool", *(f"{name}, %" for name in sets), "Delimiters, %", "Dialects, %", "ms a file"],
        rows=rows,
        percent=percents["rowgate"],
        best_peer_percent=max(percent for tool, percent in percents.items() if tool != "rowgate"),
        files=len(files),
    )


def _judge(file: AnnotatedFile, delimiter: str | None, quote_char: str | None) -> tuple[bool, bool]:
    """Return whether the delimiter is right, and whether the quote character is as well."""
    is_delimiter = delimiter == file.delimiter
    return is_delimiter, is_delimiter and (not file.has_quotes or quote_char == file.quote_char)


def _by_set(files: Sequence[AnnotatedFile], judged: Sequence[tuple[bool, bool]], sets: Sequence[str]) -> Mapping[str, float]:
    right = Counter(file.set_name for file, (_, is_dialect) in zip(files, judged, strict=True) if is_dialect)
    total = Counter(file.set_name for file in files)
    return {name: 100 * right[name] / total[name] for name in sets}


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right)
