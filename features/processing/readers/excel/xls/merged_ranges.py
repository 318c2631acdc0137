"""The ranges of merged cells that a record of an XLS sheet lists. Source: MS-XLS 2.4.168 (MergeCells)."""

from __future__ import annotations

from struct import iter_unpack

from features.processing.readers.excel.sheet_rows import MAX_MERGES, MergedRange

_RANGE_BYTES = 8


def add_merges(data: bytes, merged: list[MergedRange]) -> int:
    """Add the ranges in a record's data to `merged`, as long as there are not too many; return how many the record has."""
    ranges = data[2:]
    for first_row, last_row, first_column, last_column in iter_unpack("<HHHH", ranges[: len(ranges) - len(ranges) % _RANGE_BYTES]):
        if len(merged) < MAX_MERGES:
            merged.append(MergedRange(first_row + 1, last_row + 1, first_column, last_column))
    return len(ranges) // _RANGE_BYTES
