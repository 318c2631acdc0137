"""Command line of the engine: reads and checks one file without a server or a database."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from features.processing.checking.declarations import FileUncheckable
from features.processing.engine import Inspection, inspect_file
from features.processing.exporting.formula_guard import GUARD, is_formula
from features.processing.exporting.writer import OutputUnmakeable
from features.processing.named_files import NamedFiles, OutputsUnwritable
from features.processing.readers.base import FileUnreadable, Finding, ReadLimits
from features.processing.recording.findings import RECORD_SCHEMA, findings_to_table
from features.processing.recording.tally import ErrorTally
from shared.descriptors.problems import DescriptorInvalid
from shared.descriptors.table_dialect import TableDialect, parse_table_dialect_json
from shared.descriptors.table_schema import TableSchema, parse_table_schema_json
from shared.formats import list_extensions
from shared.output_names import OUTPUT_NAMES, OutputName, parse_output_name
from shared.texts import escape_control, shorten

EXIT_GOOD, EXIT_ERRORS, EXIT_UNREADABLE = 0, 1, 2


@dataclass(slots=True)
class Result:
    """The result of one run."""

    inspection: Inspection
    tally: ErrorTally
    errors: list[dict[str, Any]]
    """The first errors, by row and column."""
    rows_processed: int = 0
    rows_failed: int = 0

    @property
    def errors_truncated(self) -> bool:
        """Whether more errors were found than are listed."""
        return self.tally.error_count > len(self.errors)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code: 0 if the file is good, 1 if it has an error in its header or in a row, 2 if it could not be read."""
    options = _parse_arguments(arguments)
    notes = Console(stderr=True)
    files = NamedFiles(options.output)
    try:
        table_schema = _read_schema(options.schema)
        dialect = _read_dialect(options.dialect)

        def open_inspection(limits: ReadLimits | None = None) -> Inspection:
            return inspect_file(options.file, table_schema=table_schema, dialect=dialect, encoding=options.encoding, limits=limits)

        inspection = open_inspection()
        try:
            with _progress(notes, "Checking") as show_fraction:
                result = _inspect(inspection, files, max_errors=options.errors, show_fraction=show_fraction)
        finally:
            inspection.close()
        if options.output:
            limits = ReadLimits(keep_rows=True)
            with _progress(notes, "Writing") as show_fraction:
                for fraction in files.make(lambda: open_inspection(limits), limits):
                    show_fraction(fraction)
    except DescriptorInvalid as invalid:
        for problem in invalid.problems:
            _print_note(notes, f"{problem.pointer}: {problem.message}")
        return EXIT_UNREADABLE
    except (FileUnreadable, FileUncheckable, OutputUnmakeable, OutputsUnwritable) as unreadable:
        _print_note(notes, str(unreadable))
        return EXIT_UNREADABLE
    except OSError as error:
        _print_note(notes, f"{error.filename or options.file}: {error.strerror}.")
        return EXIT_UNREADABLE
    finally:
        files.close()
    _FORMATS[options.format](result)
    _print_written(notes, files)
    return EXIT_ERRORS if result.tally.error_count else EXIT_GOOD


def _print_written(notes: Console, files: NamedFiles) -> None:
    for path, written in files.written():
        what = "error" if path.stem == "errors" else "row"
        _print_note(notes, f"Written: {path} ({written.row_count:,} {what if written.row_count == 1 else f'{what}s'})")
        for note in written.notes:
            _print_note(notes, f"Note: {path.name}: {note}")


def _print_note(notes: Console, sentence: str) -> None:
    notes.print(escape_control(shorten(sentence)), markup=False, highlight=False, soft_wrap=True)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m features.processing", description="Read and check every row of a CSV or Excel file.")
    parser.add_argument("file", type=Path, metavar="FILE", help=f"a file named {_list_extensions()}")
    parser.add_argument("--schema", type=Path, help="a file with a Table Schema (JSON); inferred if not given")
    parser.add_argument("--dialect", type=Path, help="a file with a Table Dialect (JSON); detected if not given")
    parser.add_argument("--encoding", help="the encoding of the file; detected if not given")
    parser.add_argument("--format", choices=sorted(_FORMATS), default="table", help="how the result is printed (default: table)")
    parser.add_argument("--errors", type=_count, default=100, metavar="N", help="list at most N errors (default: 100; 0: none); all are counted")
    parser.add_argument(
        "--output",
        type=_output,
        action="append",
        default=[],
        metavar="NAME",
        help=f"write a file with the rows or the errors; a folder may stand before its name: {', '.join(OUTPUT_NAMES)}. May be given several times",
    )
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.output]
    for name, path in options.output:
        if not path.parent.is_dir():
            parser.error(f"--output {path}: there is no folder {path.parent}")
        if names.count(name) > 1:
            parser.error(f"--output {name} is given twice")
        if _is_same_file(path, options.file):
            parser.error(f"--output {path} is the file that is to be read: put a folder before its name")
    options.output = dict(options.output)
    return options


def _is_same_file(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _output(text: str) -> tuple[OutputName, Path]:
    path = Path(text)
    name = parse_output_name(path.name)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no output; there are {', '.join(OUTPUT_NAMES)}")
    return name, path


def _list_extensions() -> str:
    *rest, last = (f".{extension}" for extension in list_extensions())
    return f"{', '.join(rest)} or {last}" if rest else last


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError("this must be a whole number, 0 or greater")
    return int(text)


def _read_schema(path: Path | None) -> TableSchema | None:
    return None if path is None else parse_table_schema_json(path.read_bytes())


def _read_dialect(path: Path | None) -> TableDialect | None:
    return None if path is None else parse_table_dialect_json(path.read_bytes())


class _Silent:
    def __call__(self, fraction: float) -> None:
        """Show nothing."""


@contextmanager
def _progress(notes: Console, doing: str) -> Iterator[Any]:
    """Yield a function that takes the fraction that is done; it draws a progress bar if standard error is a terminal."""
    if not notes.is_terminal:
        yield _Silent()
        return
    columns = (TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task("check", total=1.0)
        yield lambda fraction: progress.update(task, completed=fraction)


def _inspect(inspection: Inspection, files: NamedFiles, *, max_errors: int, show_fraction: Any) -> Result:  # noqa: ANN401 - a callable of one float
    result = Result(inspection, ErrorTally(), [])
    kept: list[Finding] = []
    kept_count = 0
    for report in inspection.reports():
        result.rows_processed += report.rows_processed
        result.rows_failed += report.rows_failed
        result.tally.add(report.findings)
        files.add_errors(report.findings)
        if kept_count < max_errors:
            # Each finding is in the order of its rows, so the first errors of all are among the first of each.
            kept += [finding.slice(0, max_errors) for finding in report.findings]
            kept_count += sum(map(len, report.findings))
        show_fraction(report.fraction_read)
    records = findings_to_table(kept).sort_by([("row_number", "ascending"), ("column_number", "ascending")])
    result.errors = [record | {"params": json.loads(record["params"])} for record in records.slice(0, max_errors).to_pylist()]
    return result


def _print_json(result: Result) -> None:
    text = json.dumps(
        {
            **_summarise(result),
            "source": asdict(result.inspection.source),
            "notes": [note.to_json() for note in result.inspection.notes],
            "schema": result.inspection.table_schema.descriptor,
            "errors": result.errors,
        },
        ensure_ascii=False,
        indent=2,
    )
    # json escapes control characters of ASCII only.
    sys.stdout.write(_UNPRINTABLE.sub(_escape_in_json, text))
    sys.stdout.write("\n")


def _escape_in_json(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _print_csv(result: Result) -> None:
    writer = csv.DictWriter(sys.stdout, RECORD_SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    for error in result.errors:
        shown = error | {"params": json.dumps(error["params"], ensure_ascii=False)}
        writer.writerow({name: _safe_cell(value) if isinstance(value, str) else value for name, value in shown.items()})


def _safe_cell(text: str) -> str:
    """Return a text with its control characters escaped, and with a quote before it if a spreadsheet would take it for a formula."""
    return (GUARD if is_formula(text) else "") + escape_control(text)


def _print_table(result: Result) -> None:
    console = Console()
    source = {name: value for name, value in asdict(result.inspection.source).items() if value is not None}
    described = ", ".join(f"{name.replace('_', ' ')}: {value!r}" for name, value in source.items())
    console.print(escape_control(described), markup=False, highlight=False)
    for note in result.inspection.notes:
        console.print(f"Note: {escape_control(note.message)}", markup=False, highlight=False)
    console.print(f"{result.rows_processed:,} rows, {result.rows_failed:,} failed, {result.tally.error_count:,} errors", markup=False, highlight=False)
    if not result.tally.error_count:
        return
    causes = [
        (
            entry["count"],
            entry["column_name"],
            entry["error_type"],
            entry["error_message"],
            entry["first_row_number"],
            ", ".join(f'"{example}"' for example in entry["examples"]),
        )
        for entry in result.tally.by_column()[:_MAX_CAUSES]
    ]
    _print_rows(console, "Errors by cause", ("count", "column", "error type", "message", "first row", "examples"), causes)
    if result.errors:
        title = f"The first {len(result.errors):,} errors" if result.errors_truncated else "All errors"
        rows = [
            (error["row_number"], error["column_name"] or error["column_number"], error["error_type"], error["raw_value"], error["error_message"])
            for error in result.errors
        ]
        _print_rows(console, title, ("row", "column", "error type", "value", "message"), rows)


def _print_rows(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("row", "first row", "count") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else _printable(str(value))) for value in row))
    console.print(table)


def _printable(text: str) -> str:
    """Return the text cut to `_MAX_SHOWN` characters, with control characters escaped, so that it cannot control the terminal."""
    return escape_control(shorten(text, _MAX_SHOWN))


def _summarise(result: Result) -> dict[str, Any]:
    return {
        "rows_processed": result.rows_processed,
        "rows_failed": result.rows_failed,
        "error_count": result.tally.error_count,
        "errors_truncated": result.errors_truncated,
        "by_type": result.tally.by_type(),
        "by_column": result.tally.by_column(),
    }


_MAX_SHOWN = 200
_MAX_CAUSES = 100
"""A table of thousands of columns can have as many causes."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]")
"""Control characters, marks of direction and half surrogate pairs that JSON text may hold as they are."""
_FORMATS = {"table": _print_table, "json": _print_json, "csv": _print_csv}

if __name__ == "__main__":
    sys.exit(main())
