"""Where blocks of records end: at the rows that are wanted, and never at the price of a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.processing.readers.csv_grammar import CsvGrammar
from features.processing.readers.csv_records import RecordReader
from features.processing.readers.csv_source import open_source


def read_records(path: Path, *, rows_wanted: int, block_bytes: int) -> tuple[list[int], list[bytes], list[int]]:
    """The size of each block, all records, and each block's first row."""
    source = open_source(path, encoding="utf-8")
    reader = RecordReader(source, CsvGrammar(), max_row_bytes=1000, block_bytes=block_bytes)
    reader.rows_wanted = rows_wanted
    sizes, records, first_rows = [], [], []
    for block in reader:
        sizes.append(len(block))
        first_rows.append(block.first_row)
        records += [block.data[start:stop] for start, stop in zip(block.starts.tolist(), block.stops.tolist(), strict=True)]
    source.close()
    return sizes, records, first_rows


@pytest.mark.parametrize("rows_wanted", [0, 1, 40, 100, 1000])
@pytest.mark.parametrize("block_bytes", [64, 500, 1500])
def test_blocks_of_any_size_hold_all_records_once(tmp_path: Path, rows_wanted: int, block_bytes: int) -> None:
    expected = [b"%d,x" % row if row % 7 else b'%d,"a\n,b"' % row for row in range(1000)]
    path = tmp_path / "f.csv"
    path.write_bytes(b"\n".join(expected) + b"\n")
    sizes, records, first_rows = read_records(path, rows_wanted=rows_wanted, block_bytes=block_bytes)
    assert records == expected
    assert first_rows == [1 + sum(sizes[:number]) for number in range(len(sizes))]


def test_blocks_end_with_the_wanted_row_where_rows_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"1234,6789\n" * 1000)
    sizes, _, _ = read_records(path, rows_wanted=100, block_bytes=1500)
    assert sizes[1:-1] == [100] * len(sizes[1:-1])
    assert len(sizes) > 8
