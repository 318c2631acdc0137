"""Operations on findings: cut them, group them by rows, and turn them into a table of error records."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Finding
from features.processing.recording.display import show_message, show_messages, show_name, show_values

RECORD_SCHEMA = pa.schema(
    [
        ("row_number", pa.int64()),
        ("column_number", pa.int32()),
        ("column_name", pa.string()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
        ("raw_value", pa.string()),
        ("params", pa.string()),
    ]
)
"""`params` is JSON text."""


def findings_to_table(findings: Iterable[Finding]) -> pa.Table:
    r"""Return a table with one row for each error (`RECORD_SCHEMA`), in the order of the findings; names and raw values are cut, NUL becomes `\x00`."""
    batches = [_to_batch(finding) for finding in findings if len(finding)]
    return pa.Table.from_batches(batches, schema=RECORD_SCHEMA).combine_chunks()


def take_findings(findings: Sequence[Finding], count: int) -> list[Finding]:
    """Return the first `count` errors of the findings."""
    taken: list[Finding] = []
    for finding in findings:
        if count <= 0:
            break
        taken.append(finding.slice(0, count))
        count -= len(finding)
    return taken


def split_rows(findings: Sequence[Finding], count: int) -> Iterator[Sequence[Finding]]:
    """Split the errors by rows, ascending, into groups of about `count` errors; nothing is copied. Yields at least one group, which may be empty."""
    groups = -(-sum(map(len, findings)) // count)
    if groups <= 1:
        yield findings
        return
    rows = [finding.row_numbers for finding in findings if len(finding)]
    bounds = np.linspace(min(int(each[0]) for each in rows), max(int(each[-1]) for each in rows) + 1, groups + 1).astype(np.int64)
    for bound in itertools.pairwise(bounds):
        edges = [np.searchsorted(finding.row_numbers, bound).tolist() for finding in findings]
        yield [finding.slice(start, end) for finding, (start, end) in zip(findings, edges, strict=True) if end > start]


def count_raw_bytes(finding: Finding) -> int:
    """Return how many bytes of memory the raw values keep alive; a slice keeps all of the array that it was cut from."""
    text = None if finding.raw_values is None else finding.raw_values.buffers()[2]
    return text.size if text is not None else 0


def _to_batch(finding: Finding) -> pa.RecordBatch:
    size = len(finding)
    return pa.record_batch(
        [
            pa.array(finding.row_numbers, type=pa.int64()),
            _repeat(finding.column_number, size, pa.int32()),
            _repeat(show_name(finding.column_name), size, pa.string()),
            _repeat(finding.error_type, size, pa.string()),
            _repeat(show_message(finding.message), size, pa.string()) if isinstance(finding.message, str) else show_messages(finding.message),
            pa.nulls(size, type=pa.string()) if finding.raw_values is None else show_values(finding.raw_values),
            _list_params(finding),
        ],
        schema=RECORD_SCHEMA,
    )


def _list_params(finding: Finding) -> pa.StringArray:
    if finding.first_rows is None:
        return _repeat(json.dumps(dict(finding.params), ensure_ascii=False), len(finding), pa.string())
    return pa.array([json.dumps(dict(params), ensure_ascii=False) for params in finding.list_params()], pa.string())


def _repeat(value: str | int | None, size: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(size, type=kind) if value is None else pa.repeat(pa.scalar(value, type=kind), size)
