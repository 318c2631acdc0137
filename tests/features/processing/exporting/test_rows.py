"""Rows one by one, compared with files whose rows are known because they were put together row by row."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
from hypothesis import HealthCheck, given, settings

from features.processing.engine import inspect_file
from features.processing.exporting.export import describe_table
from features.processing.exporting.rows import FileRow, iterate_rows
from features.processing.readers.base import ReadLimits
from features.processing.readers.csv.source import ESCAPE_HANDLER
from features.processing.readers.native_types import NativeType
from features.processing.readers.structure_findings import show_undecodable
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.exporting.csv_tables import CsvFile, csv_files, list_errors, open_file
from tests.features.processing.readers.csv import oracle

_LIMITS = ReadLimits(keep_rows=True)


def _read(path: Path, *, only_failed: bool = False, with_comments: bool = False, **options: object) -> list[FileRow]:
    inspection = inspect_file(path, limits=_LIMITS, **options)  # type: ignore[arg-type] # those of the function
    try:
        table = describe_table(inspection)
        return [row for rows in inspection.checked_rows() for row in iterate_rows(rows, table, only_failed=only_failed, with_comments=with_comments)]
    finally:
        inspection.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(file=csv_files())
def test_rows_are_those_of_the_file_with_the_errors_of_the_job(file: CsvFile) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(file.data)
        errors = list_errors(open_file(path, file, limits=ReadLimits()))
        inspection = open_file(path, file, limits=ReadLimits(keep_rows=True, chunk_rows=2))
        table = describe_table(inspection)
        rows = [row for checked in inspection.checked_rows() for row in iterate_rows(checked, table, with_comments=True)]
        first = list(table.first_rows())
        inspection.close()
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(file.encoding, file.encoding)
    quote = file.dialect["quoteChar"] or None
    assert [number for number, _ in first] == list(range(1, file.first_row))
    assert [row.row_number for row in rows] == list(range(file.first_row, file.first_row + len(rows)))
    for row, record in zip(rows, file.records, strict=False):
        text = record.decode(codec, ESCAPE_HANDLER)
        strays: dict[tuple[int, int], str] = {}
        ((raw, cells, is_comment),) = oracle.split_records(
            text, delimiter=file.dialect["delimiter"], quote=quote, comment=file.dialect.get("commentChar"), strays=strays
        )
        assert not strays
        shown: list[str | None] = [show_undecodable(raw)] if cells is None or is_comment else [show_undecodable(cell) for cell in cells]
        if cells is not None and not is_comment and not "".join(cells).strip():
            shown = []
        elif cells is not None and not is_comment:
            shown += [None] * (table.width - len(shown))
        # Empty cells beyond the header are left out where they look like delimiters at the ends of rows.
        while table.width < len(shown) > len(row.cells) and not shown[-1]:
            shown.pop()
        assert list(row.cells) == shown
        assert row.types is None
        found = [(error.column_number, error.column_name, error.error_type, error.message) for error in row.errors]
        if row.row_number in errors:
            assert found == [each[:4] for each in errors[row.row_number]]
        else:
            # The rows of a run of blank rows but its first have no error of their own.
            assert not found or (found == [(None, None, "blank-row", "This row is empty.")] and not shown)
    for record in file.records[len(rows) :]:
        text = record.decode(codec, "replace").replace(file.dialect["delimiter"], "").replace(quote or "\0", "")
        assert not text.strip() or text.startswith("#")


def test_the_whole_text_of_a_reported_cell_is_given(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b'a,b\n1,"' + b"x" * 5000 + b'"y\n2,\x81' + b"z" * 5000 + b"\n3,4," + b"w" * 5000 + b"\n")
    stray, broken, extra = _read(path, encoding="utf-8")
    assert stray.cells[1] == '"' + "x" * 5000 + '"y'
    assert broken.cells[1] == "\\x81" + "z" * 5000
    assert extra.cells == ["3", "4", "w" * 5000]


def test_columns_that_are_left_out_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,,b,,\n" + "1,,2,,\n" * 50 + "3,oops,4,,far\n")
    rows = _read(path)
    assert list(rows[0].cells) == ["1", None, "2"]
    assert list(rows[-1].cells) == ["3", "oops", "4", None, "far"]
    assert [error.column_number for error in rows[-1].errors] == [2, 5]


def test_rows_of_a_workbook_have_their_types_and_error_values(tmp_path: Path) -> None:
    path = tmp_path / "file.xlsx"
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in (["Title"], [], ["id", "size", "name"], [1, 2.5, "x"], [], ["#", "said"], [None], ["#N/A", 3, "y", None, "extra"]):
        sheet.append(row)
    workbook.save(path)
    dialect = parse_table_dialect({"commentChar": "#", "headerRows": [3]})
    # `#N/A` is an error value, and no comment.
    schema = parse_table_schema({"fields": [{"name": "id", "type": "integer"}, {"name": "size", "type": "number"}, {"name": "name", "type": "string"}]})
    inspection = inspect_file(path, table_schema=schema, dialect=dialect, limits=_LIMITS)
    assert list(inspection.first_rows()) == [(1, ["Title"]), (2, ()), (3, ["id", "size", "name"])]
    inspection.close()
    good, blank, comment, second, bad = _read(path, with_comments=True, table_schema=schema, dialect=dialect)
    assert list(good.cells) == ["1", "2.5", "x"]
    assert good.types is not None
    assert list(good.types) == [NativeType.NUMBER, NativeType.NUMBER, NativeType.TEXT]
    assert (blank.row_number, blank.cells, blank.errors[0].message) == (5, (), "This row and the rows after it, 2 in all, are empty.")
    assert (comment.row_number, list(comment.cells), comment.errors) == (6, ["#", "said"], ())
    assert (second.row_number, second.cells, second.errors[0].message) == (7, (), "This row is empty.")
    assert list(bad.cells) == ["#N/A", "3", "y", None, "extra"]
    assert [error.error_type for error in bad.errors] == ["formula-error", "extra-cell"]
    assert [row.row_number for row in _read(path, only_failed=True, table_schema=schema, dialect=dialect)] == [5, 7, 8]


def test_a_run_of_blank_rows_that_spans_chunks_and_comments_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,b\n1,2\n" + "\n#c\n,\n" * 60_000 + "3,4\n\n")
    rows = _read(path, with_comments=True, dialect=parse_table_dialect({"commentChar": "#"}))
    assert [row.row_number for row in rows] == list(range(2, 180_004))
    assert rows[1].errors[0].message == "This row and the rows after it, 120000 in all, are empty."
    assert {next(iter(row.cells)) for row in rows[2:-1:3]} == {"#c"}
    assert all(row.errors[0].error_type == "blank-row" for index, row in enumerate(rows[1:-1]) if index % 3 != 1)
