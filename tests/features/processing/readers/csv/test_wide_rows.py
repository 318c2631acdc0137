"""Very wide tables are split as any other."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from features.processing.readers.base import ReadLimits
from features.processing.readers.csv import parser
from features.processing.readers.csv.table import CsvTable
from features.processing.readers.csv.wide_rows import split_wide
from shared.descriptors.table_dialect import parse_table_dialect

WIDTH = 12
CELLS = ["", "a", "é", "中文", " ", "x" * 50, "#1", "1.5"]


def _read(path: Path, *, block_bytes: int) -> tuple[list[object], list[object]]:
    dialect = parse_table_dialect({"delimiter": ";", "quoteChar": '"', "commentChar": "//", "header": False})
    table = CsvTable(path, dialect=dialect, encoding=None, limits=ReadLimits(), block_bytes=block_bytes)
    rows: list[object] = []
    errors: list[object] = []
    for chunk in table.chunks():
        cells = zip(*(column.to_pylist() for column in chunk.columns), strict=True)
        rows += zip(chunk.row_numbers.tolist(), cells, strict=True)
        errors += [(finding.error_type, finding.column_number, row) for finding in chunk.findings for row in finding.row_numbers.tolist()]
    table.close()
    return rows, sorted(errors, key=str)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("extra", [[], [""], [";" * (WIDTH - 1)], ["a;b", "c" + ";d" * 20, "// comment", 'x;"y;z"' + ";1" * 10, "last" + ";z" * (WIDTH - 1)]])
@pytest.mark.parametrize("ends", [True, False])
def test_rows_are_those_of_a_narrow_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line_break: str, extra: list[str], ends: bool) -> None:
    chooser = random.Random(len(extra))
    lines = [";".join(chooser.choice(CELLS) for _ in range(WIDTH)) for _ in range(100)]
    lines[0] = ";".join(f"c{number}" for number in range(WIDTH))
    for place, line in enumerate(extra):
        lines.insert(20 + 17 * place, line)
    path = tmp_path / "table.csv"
    path.write_bytes((line_break.join(lines) + (line_break if ends else "")).encode())
    expected = _read(path, block_bytes=2**20)
    monkeypatch.setattr(parser, "_MANY_COLUMNS", 5)
    monkeypatch.setattr(parser, "MAX_ARROW_COLUMNS", 5)
    monkeypatch.setattr(parser, "_SPLIT_COLUMNS", 5)
    split: list[int] = []

    def count(*arguments: object, **named: object) -> object:
        columns = split_wide(*arguments, **named)  # type: ignore[arg-type]
        split.append(len(columns[0]))
        return columns

    monkeypatch.setattr(parser, "split_wide", count)
    for block_bytes in (2**20, 3000, 700):
        assert _read(path, block_bytes=block_bytes) == expected
    assert sum(split) > 60
