"""Make outputs of files, and read them with other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl

from features.processing.engine import Inspection, inspect_file
from features.processing.exporting.export import Export, describe_table
from features.processing.exporting.writer import OutputWriter, Written
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.output_names import parse_output_name

Descriptor = Mapping[str, Any]


def check_nothing() -> None:
    """There is room."""


def open_for_outputs(path: Path, *, schema: Descriptor | None = None, dialect: Descriptor | None = None, chunk_rows: int = 10_000) -> Inspection:
    return inspect_file(
        path,
        table_schema=None if schema is None else parse_table_schema(dict(schema)),
        dialect=None if dialect is None else parse_table_dialect(dict(dialect)),
        limits=ReadLimits(keep_rows=True, spill_dir=path.parent, chunk_rows=chunk_rows),
    )


def make_output(
    path: Path, name: str, *, schema: Descriptor | None = None, dialect: Descriptor | None = None, chunk_rows: int = 10_000
) -> tuple[Path, Written]:
    """Make one output of a file as a job does, and return where it is and what the writer says of it."""
    parsed = parse_output_name(name)
    assert parsed is not None
    target = path.parent / name
    limits = ReadLimits(keep_rows=True, spill_dir=path.parent, chunk_rows=chunk_rows)
    export = Export(
        lambda: open_for_outputs(path, schema=schema, dialect=dialect, chunk_rows=chunk_rows), {parsed: target}, limits=limits, check_room=check_nothing
    )
    try:
        for _ in export.run():
            pass
        return target, export.written[0]
    finally:
        export.close()


def write_rows(path: Path, make: Callable[[], OutputWriter], *, schema: Descriptor | None = None, chunk_rows: int = 10_000) -> Written:
    """Give the rows of a file to one writer."""
    inspection = open_for_outputs(path, schema=schema, chunk_rows=chunk_rows)
    writer = make()
    try:
        writer.begin(describe_table(inspection))
        for rows in inspection.checked_rows():
            writer.write(rows)
        return writer.finish()
    finally:
        writer.close()
        inspection.close()


def make_csv(folder: Path, *rows: str, name: str = "table.csv") -> Path:
    """Write lines."""
    path = folder / name
    path.write_text("".join(f"{row}\n" for row in rows), newline="")
    return path


def read_sheets(path: Path) -> dict[str, list[list[Any]]]:
    """Return the cells of each sheet as openpyxl reads them."""
    book = openpyxl.load_workbook(path)
    try:
        return {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book.worksheets}
    finally:
        book.close()


def read_comments(path: Path) -> dict[str, str]:
    """Return the comments of the first sheet by cell, and check that each of these cells is coloured."""
    book = openpyxl.load_workbook(path)
    try:
        cells = [cell for row in book.worksheets[0].iter_rows() for cell in row if cell.comment is not None]
        assert all(cell.fill.fgColor.rgb == "FFFFC7CE" for cell in cells)
        return {cell.coordinate: cell.comment.text for cell in cells if cell.comment is not None}
    finally:
        book.close()
