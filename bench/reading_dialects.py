"""Measure how often delimiter and quote character are found, beside DuckDB's sniffer, CleverCSV and Python's csv.Sniffer, on public annotated files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.dialect_files import AnnotatedFile, list_dialect_files
from bench.measure import DATA, Plan, run_json, say
from bench.peers import peer_versions, prepare_peers
from bench.reading_part import ReadingPart
from bench.report import Verdict, at_least

TARGET = 0.97
OURS = "Rowgate"
_NAMES = {"rowgate": OURS, "duckdb": "DuckDB's sniffer", "clevercsv": "CleverCSV", "python": "Python's csv.Sniffer"}


def measure_dialects(plan: Plan) -> ReadingPart:
    """Run all tools on all files. Raises `RunFailed` if the files cannot be fetched, or if a tool does not run."""
    del plan  # each file once, whatever the plan
    files = list_dialect_files()
    paths = DATA / "dialects" / "paths.txt"
    paths.write_text("".join(f"{file.path}\n" for file in files))
    peer_python = prepare_peers()
    dialects: dict[str, float] = {}
    delimiters: dict[str, float] = {}
    for tool, name in _NAMES.items():
        say(f"dialects: {name}")
        own = {"python": peer_python} if tool in ("duckdb", "clevercsv") else {}
        facts = run_json("bench.run_dialects", tool, str(paths), **own)
        judged = [_judge(file, *found) for file, found in zip(files, facts["found"], strict=True)]
        delimiters[name] = _share([is_delimiter for is_delimiter, _ in judged])
        dialects[name] = _share([is_dialect for _, is_dialect in judged])
    return ReadingPart(
        rows=[_describe("Dialects (delimiter and quote) of public files", files, dialects), _describe("Delimiters alone", files, delimiters)],
        verdicts=[
            Verdict("Dialects found", f"≥ {TARGET:.0%}", f"{dialects[OURS]:.1%}", dialects[OURS] >= TARGET),
            at_least("Dialects found, beside the best peer", dialects[OURS] / max(share for name, share in dialects.items() if name != OURS), 1.0),
        ],
        peers=peer_versions(names=("duckdb", "clevercsv")),
    )


def _describe(what: str, files: Sequence[AnnotatedFile], shares: Mapping[str, float]) -> tuple[str, ...]:
    others = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if name != OURS)
    return what, f"{len(files)} files", f"{shares[OURS]:.1%}", others


def _judge(file: AnnotatedFile, delimiter: str | None, quote_char: str | None) -> tuple[bool, bool]:
    """Return whether the delimiter is right, and whether the quote character is as well."""
    is_delimiter = delimiter == file.delimiter
    return is_delimiter, is_delimiter and (not file.has_quotes or quote_char == file.quote_char)


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)
