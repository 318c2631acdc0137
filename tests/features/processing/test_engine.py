"""One pass over a file: the choice of reader and schema, and the totals of the reports."""

from __future__ import annotations

import io
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pytest
import xlwt

from features.processing.engine import Inspection, inspect_file
from features.processing.readers.base import Chunk, FileUnreadable, Finding, Note, ReadLimits, Source
from features.processing.recording.findings import findings_to_table
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema

SCHEMA = {"fields": [{"name": "id", "type": "integer", "constraints": {"required": True}}, {"name": "name", "type": "string", "constraints": {"maxLength": 3}}]}


def errors_of(inspection: Inspection) -> tuple[int, int, list[tuple[int, int | None, str, str | None]]]:
    processed = failed = 0
    errors: list[tuple[int, int | None, str, str | None]] = []
    fraction = 0.0
    for report in inspection.reports():
        processed += report.rows_processed
        failed += report.rows_failed
        assert fraction <= report.fraction_read <= 1
        fraction = report.fraction_read
        table = findings_to_table(report.findings).to_pylist()
        errors += [(record["row_number"], record["column_number"], record["error_type"], record["raw_value"]) for record in table]
    inspection.close()
    return processed, failed, sorted(errors, key=lambda error: (error[0], error[1] or 0))


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 10_000])
def test_every_bad_cell_is_found_whatever_the_chunks(tmp_path: Path, chunk_rows: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,name\n1,Ann\nx,Bob\n\n3\n,Eve,z\n4,"Joe\n5,Anna\n6,\xff\n')
    inspection = inspect_file(path, table_schema=parse_table_schema(SCHEMA), encoding="utf-8", limits=ReadLimits(chunk_rows=chunk_rows))
    assert errors_of(inspection) == (
        8,
        7,
        [
            (3, 1, "type-error", "x"),
            (4, None, "blank-row", None),
            (5, 2, "missing-cell", None),
            (6, 1, "required-error", ""),
            (6, 3, "extra-cell", "z"),
            (7, None, "unclosed-quote", None),
            (8, 2, "max-length-error", "Anna"),
            (9, 2, "encoding-error", "\\xff"),
        ],
    )


def test_schema_is_inferred_where_none_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n" + "".join(f"{number},n{number}\n" for number in range(50)) + "x,\n")
    inspection = inspect_file(path, limits=ReadLimits(chunk_rows=7))
    assert [(field.name, field.type) for field in inspection.table_schema.fields] == [("id", "integer"), ("name", "string")]
    assert errors_of(inspection) == (51, 1, [(52, 1, "type-error", "x"), (52, 2, "required-error", "")])


def test_inference_stops_at_ten_thousand_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "1\n" * 10_000 + "x\n" * 30_000)
    processed, failed, _ = errors_of(inspect_file(path, limits=ReadLimits(chunk_rows=3_333)))
    assert (processed, failed) == (40_000, 30_000)


def test_inferred_schema_sent_again_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,,id\n1,2024-01-01,a\n2,2024-01-02,\n3,x,c\n4,2024-01-04,d\n")
    first = inspect_file(path)
    descriptor = first.table_schema.descriptor
    assert errors_of(first) == errors_of(inspect_file(path, table_schema=parse_table_schema(dict(descriptor))))


def test_header_problems_come_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,id\n")
    assert errors_of(inspect_file(path)) == (0, 0, [(1, 2, "duplicate-label", "id")])


def test_header_problems_are_no_failed_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,nom\n1,Ann\n")
    assert errors_of(inspect_file(path, table_schema=parse_table_schema(SCHEMA))) == (1, 0, [(1, 2, "incorrect-label", "nom")])


@pytest.mark.parametrize("given", [True, False])
def test_null_sequence_is_a_missing_value(tmp_path: Path, given: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n1,NIL\nNIL,Bob\n3,Eve\n4,Joe\n")
    table_schema = parse_table_schema(SCHEMA) if given else None
    inspection = inspect_file(path, table_schema=table_schema, dialect=parse_table_dialect({"nullSequence": "NIL"}))
    _, _, errors = errors_of(inspection)
    assert (2, 1, "required-error", "") not in errors
    assert (3, 1, "required-error", "NIL") in errors
    assert "type-error" not in {error[2] for error in errors}


ROWS: list[list[object]] = [["id", "name"], [1, "Ann"], ["x", "Bob"]]


def workbook_bytes(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for cells in ROWS:
            book.worksheets[0].append(cells)
        book.save(stream)
    else:
        old = xlwt.Workbook()
        sheet = old.add_sheet("s")
        for number, row in enumerate(ROWS):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
        old.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
@pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".XLS"])
def test_workbook_is_read_as_what_it_is(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(workbook_bytes(kind))
    assert errors_of(inspect_file(path, table_schema=parse_table_schema(SCHEMA))) == (2, 1, [(3, 1, "type-error", "x")])


def test_file_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n\n")
    with pytest.raises(FileUnreadable):
        inspect_file(path)


def test_inspection_closes_half_way_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "1\n" * 100_000)
    inspection = inspect_file(path, limits=ReadLimits(chunk_rows=100))
    next(inspection.reports())
    inspection.close()
    inspection.close()


def test_chunk_is_not_held_while_the_next_one_is_read() -> None:
    held: list[bool] = []

    class ThreeChunks:
        source = Source()
        labels: Sequence[str] | None = ("a",)
        column_numbers: Sequence[int] | None = None
        bytes_total = 3
        notes: Sequence[Note] = ()
        header_findings: Sequence[Finding] = ()

        def chunks(self) -> Iterator[Chunk]:
            chunks: list[weakref.ref[Chunk]] = []
            for row in range(2, 5):
                held.extend(chunk() is not None for chunk in chunks)
                waiting = [Chunk(columns=[pa.array(["x"])], row_numbers=np.array([row]))]
                chunks.append(weakref.ref(waiting[0]))
                yield waiting.pop()

        def close(self) -> None:
            pass

    inspection = Inspection(
        ThreeChunks(), table_schema=parse_table_schema({"fields": [{"name": "a", "type": "integer"}]}), null_sequence=None, limits=ReadLimits()
    )
    assert sum(report.rows_failed for report in inspection.reports()) == 3
    assert held == [False] * 3
    inspection.close()


def test_dates_that_could_have_either_order_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("when,n\n01/02/2024,1\n03/04/2024,2\n05/06/2024,3\n")
    inspection = inspect_file(path)
    assert [(note.code, note.column_name) for note in inspection.notes] == [("ambiguous-dates", "when")]
    inspection.close()
