"""Reports are of one chunk each, also of chunks that were checked together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.processing import engine
from features.processing.checking.checker import Checker
from features.processing.chunk_reports import ChunkReport, make_reports
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import parse_table_schema

SCHEMA = parse_table_schema(
    {"fields": [{"name": "id", "type": "integer", "constraints": {"unique": True}}, {"name": "b", "type": "string", "constraints": {"maxLength": 3}}]}
)
BODY = "1,x\n2,long\n,\n\n3,x\nx,y\n1,z\n4\n5,x,y\n,\n6,x\n7,x\n8,x\n9,x\n2,long\n,\n,\n10,x\n11,long\n12,x\n"


def _read(path: Path, *, chunk_rows: int) -> list[ChunkReport]:
    inspection = engine.inspect_file(path, table_schema=SCHEMA, limits=ReadLimits(chunk_rows=chunk_rows))
    reports = list(inspection.reports())
    inspection.close()
    return reports


def _describe(report: ChunkReport) -> object:
    found: list[tuple[object, ...]] = []
    for finding in report.findings:
        raw = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
        said = [finding.message] * len(finding) if isinstance(finding.message, str) else finding.message.to_pylist()
        found += list(
            zip(finding.row_numbers.tolist(), [finding.column_number or 0] * len(finding), [finding.error_type] * len(finding), raw, said, strict=True)
        )
        found += [
            (row, finding.column_number or 0, "params", str(params), "")
            for row, params in zip(finding.row_numbers.tolist(), finding.list_params(), strict=True)
        ]
    return report.rows_processed, report.rows_failed, sorted(found, key=str)


def _count_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    checked: list[int] = []
    check = Checker.check

    def count(self: Checker, chunk: Chunk, **named: bool) -> object:
        checked.append(len(chunk.row_numbers))
        return check(self, chunk, **named)

    monkeypatch.setattr(Checker, "check", count)
    return checked


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 5, 7, 100])
def test_reports_are_the_same_however_many_chunks_are_checked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,b\n" + BODY)
    monkeypatch.setattr(engine, "_CHUNKS_AT_ONCE", 1)
    alone = _read(path, chunk_rows=chunk_rows)
    monkeypatch.setattr(engine, "_CHUNKS_AT_ONCE", 4)
    together = _read(path, chunk_rows=chunk_rows)
    assert [_describe(report) for report in together] == [_describe(report) for report in alone]
    assert sum(report.rows_processed for report in together) == BODY.count("\n")
    fractions = [report.fraction_read for report in together]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 5])
def test_reports_are_the_same_if_chunks_are_taken_apart_for_their_many_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,b\n" + BODY * 3)
    expected = [_describe(report) for report in _read(path, chunk_rows=chunk_rows)]
    monkeypatch.setattr(engine, "_MANY_ERRORS", 0)
    checked = _count_rows(monkeypatch)
    assert [_describe(report) for report in _read(path, chunk_rows=chunk_rows)] == expected
    assert checked[0] > chunk_rows
    assert checked.count(chunk_rows) > 3


def test_rows_are_checked_several_chunks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,b\n" + "".join(f"{number},x\n" for number in range(20)))
    checked = _count_rows(monkeypatch)
    reports = _read(path, chunk_rows=3)
    # The rows of a block are checked in parts of about the same size.
    assert checked == [9, 11]
    assert [report.rows_processed for report in reports] == [3, 3, 3, 3, 3, 3, 2]


@pytest.mark.parametrize("many_errors", [0, 90_000])
def test_outputs_get_the_rows_and_sentences_that_reports_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many_errors: int) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,b\n" + BODY * 3)
    monkeypatch.setattr(engine, "_MANY_ERRORS", many_errors)
    reported = [finding for report in _read(path, chunk_rows=3) for finding in report.findings]
    inspection = engine.inspect_file(path, table_schema=SCHEMA, limits=ReadLimits(chunk_rows=3, keep_rows=True))
    rows = list(inspection.checked_rows())
    inspection.close()
    written = [finding for each in rows for finding in each.findings]
    whole = [ChunkReport(rows_processed=0, rows_failed=0, findings=findings, fraction_read=1.0) for findings in (reported, written)]
    assert _describe(whole[0]) == _describe(whole[1])
    # Every row of the file is in one span, in order, whether its chunk was taken apart or not.
    numbers = [span.first_row + place for each in rows for span in each.chunk.spans for place in range(span.count)]
    assert numbers == list(range(2, 2 + BODY.count("\n") * 3))


def test_fractions_never_exceed_what_was_read() -> None:
    chunk = Chunk(columns=[], row_numbers=np.arange(2, 5))
    # 0.1 + (0.3 - 0.1) is more than 0.3.
    reports = make_reports(chunk, np.zeros(3, np.bool_), [], chunk_rows=1, fraction_before=0.1, fraction_read=0.3, reading_s=0.0, checking_s=0.0)
    fractions = [report.fraction_read for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 0.3
