"""Findings as a table of error records, column by column, in the form in which they are stored and shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.readers.base import Finding

MAX_RAW_VALUE_CHARACTERS = 1000
MAX_NAME_CHARACTERS = 255

RECORD_SCHEMA = pa.schema(
    [
        ("row_number", pa.int64()),
        ("column_number", pa.int32()),
        ("column_name", pa.string()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
        ("raw_value", pa.string()),
    ]
)


def findings_to_table(findings: Iterable[Finding]) -> pa.Table:
    r"""One row for each error (`RECORD_SCHEMA`), in the order of the findings; names and raw values are cut, NUL is shown as `\x00`."""
    batches = [_to_batch(finding) for finding in findings if len(finding)]
    return pa.Table.from_batches(batches, schema=RECORD_SCHEMA).combine_chunks()


def take_findings(findings: Sequence[Finding], count: int) -> list[Finding]:
    """The findings cut to their first `count` errors."""
    taken: list[Finding] = []
    for finding in findings:
        if count <= 0:
            break
        taken.append(finding if len(finding) <= count else _slice(finding, 0, count))
        count -= len(finding)
    return taken


def split_rows(findings: Sequence[Finding], count: int) -> Iterator[Sequence[Finding]]:
    """The same errors, the rows in groups of about `count` errors and in their order; nothing is copied. One group at least, though it be empty."""
    groups = -(-sum(map(len, findings)) // count)
    if groups <= 1:
        yield findings
        return
    rows = [finding.row_numbers for finding in findings if len(finding)]
    bounds = np.linspace(min(int(each[0]) for each in rows), max(int(each[-1]) for each in rows) + 1, groups + 1).astype(np.int64)
    for bound in itertools.pairwise(bounds):
        edges = [np.searchsorted(finding.row_numbers, bound).tolist() for finding in findings]
        yield [_slice(finding, start, end - start) for finding, (start, end) in zip(findings, edges, strict=True) if end > start]


def count_raw_bytes(finding: Finding) -> int:
    """How much memory its raw values hold on to; a view holds on to all that it was cut from."""
    text = None if finding.raw_values is None else finding.raw_values.buffers()[2]
    return text.size if text is not None else 0


def show_name(name: str | None) -> str | None:
    r"""A column's name as records and counts hold it: a NUL as `\x00`, at most 255 characters."""
    return None if name is None else name.replace("\0", "\\x00")[:MAX_NAME_CHARACTERS]


def show_message(message: str) -> str:
    r"""A message as records hold it: a NUL as `\x00`."""
    return message.replace("\0", "\\x00")


def show_values(values: pa.StringArray) -> pa.StringArray:
    r"""Cells as they are shown: a NUL as `\x00`, at most 1,000 characters. Where nothing is to be changed, these are the values themselves."""
    if not len(values):
        return values
    ends, text = np.frombuffer(values.buffers()[1], np.int32)[values.offset :][: len(values) + 1], values.buffers()[2]
    if ends[0] == ends[-1]:
        return values
    has_nul = bool((np.frombuffer(text, np.uint8)[ends[0] : ends[-1]] == 0).any())
    # No text has more characters than bytes.
    if not has_nul and int(np.diff(ends).max()) <= MAX_RAW_VALUE_CHARACTERS:
        return values
    # Cut first, so that escaping works on short texts only; the second cut takes what the escapes added.
    return _cut(_escape_nul(_cut(values)))


def _to_batch(finding: Finding) -> pa.RecordBatch:
    size = len(finding)
    return pa.record_batch(
        [
            pa.array(finding.row_numbers, type=pa.int64()),
            _repeat(finding.column_number, size, pa.int32()),
            _repeat(show_name(finding.column_name), size, pa.string()),
            _repeat(finding.error_type, size, pa.string()),
            _repeat(show_message(finding.message), size, pa.string()) if isinstance(finding.message, str) else _escape_nul(finding.message),
            pa.nulls(size, type=pa.string()) if finding.raw_values is None else show_values(finding.raw_values),
        ],
        schema=RECORD_SCHEMA,
    )


def _slice(finding: Finding, start: int, count: int) -> Finding:
    return replace(
        finding,
        row_numbers=finding.row_numbers[start : start + count],
        message=finding.message if isinstance(finding.message, str) else finding.message.slice(start, count),
        raw_values=None if finding.raw_values is None else finding.raw_values.slice(start, count),
    )


def _repeat(value: str | int | None, size: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(size, type=kind) if value is None else pa.repeat(pa.scalar(value, type=kind), size)


def _escape_nul(values: pa.StringArray) -> pa.StringArray:
    return pc.replace_substring(values, pattern="\0", replacement="\\x00")


def _cut(values: pa.StringArray) -> pa.StringArray:
    return pc.utf8_slice_codeunits(values, start=0, stop=MAX_RAW_VALUE_CHARACTERS)
