"""Rows with too few or too many cells are read alike, whether they are parsed by their width or split one by one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from features.processing.readers.base import ReadLimits
from features.processing.readers.csv.table import CsvTable

Cell = tuple[int, int | None, str, str | None, str]
"""Row, column, error type, raw value, message."""


def read(path: Path, *, block_bytes: int) -> tuple[dict[int, list[str | None]], list[Cell], int]:
    """Return the cells of each row, all errors and the number of lost rows."""
    table = CsvTable(path, dialect=None, encoding="utf-8", limits=ReadLimits(chunk_rows=700), block_bytes=block_bytes)
    rows: dict[int, list[str | None]] = {}
    errors: list[Cell] = []
    lost = 0
    for chunk in table.chunks():
        for place, row_number in enumerate(chunk.row_numbers.tolist()):
            rows[row_number] = [column[place].as_py() for column in chunk.columns]
        lost += chunk.rows_lost
        for finding in chunk.findings:
            messages = [finding.message] * len(finding) if isinstance(finding.message, str) else finding.message.to_pylist()
            values = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
            cells = zip(finding.row_numbers.tolist(), values, messages, strict=True)
            errors += [(row, finding.column_number, finding.error_type, value, message) for row, value, message in cells]
    table.close()
    return rows, sorted(errors, key=repr), lost


def make_rows(chance: random.Random, count: int, widths: list[int]) -> list[str]:
    cells = ["1", "", "x y", "é", "\ufefft", " ", '"q, r"', '"a ""b"""', 'in "side"', "long " * 40]
    weights = [30, 6, 5, 2, 1, 2, 2, 1, 1, 1]
    return [",".join(chance.choices(cells, weights, k=chance.choice(widths))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("widths", [[1], [1, 2], [3, 3, 3, 3, 2], [2, 4], [1, 2, 3, 4, 5, 6, 7], [5]])
def test_many_ragged_rows_are_read_as_single_ones_are(tmp_path: Path, widths: list[int], seed: int) -> None:
    path = tmp_path / "a.csv"
    lines = make_rows(random.Random(seed), 2_000, widths)
    path.write_text("\n".join(["a,b,c", "1,2,3", *lines]) + "\n", encoding="utf-8")
    # Blocks of less than 50 rows have no groups.
    assert read(path, block_bytes=6_000) == read(path, block_bytes=200)


def test_blank_rows_among_ragged_ones_stay_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "1\n" * 20_000 + "\n" + " , \n" + "1,2\n" * 20_000 + ",,,\n" * 3 + "1,2,3\n")
    rows, errors, lost = read(path, block_bytes=10_000)
    assert len(rows) == 40_001
    assert lost == 5
    assert [error[:3] for error in errors if error[2] == "blank-row"] == [(20_002, None, "blank-row"), (40_004, None, "blank-row")]
    assert sum(error[2] == "missing-cell" for error in errors) == 2 * 20_000 + 20_000
    assert rows[10] == ["1", None, None]
    assert rows[40_007] == ["1", "2", "3"]
