"""The CSV reader agrees with the character-by-character oracle, wherever blocks and chunks end."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.csv.table import CsvTable, open_csv
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.csv import oracle as csv_oracle

pytestmark = pytest.mark.slow

TOKENS = [
    ",",
    '"',
    "\n",
    "\r\n",
    "\r",
    "a",
    "bc",
    '""',
    ',"',
    '",',
    '"\n',
    '\n"',
    " ",
    "\u00a0",
    "\\",
    "#",
    ";",
    "é",
    "\x00",
    "\ufeff",
    ",,",
    "1,2\n",
    'x,"y, z"\n',
    '"p\nq",r\n',
]
TEXTS = st.lists(st.sampled_from(TOKENS), max_size=30).map(lambda tokens: "".join(tokens).encode())
BYTES = st.lists(st.sampled_from([*(token.encode() for token in TOKENS), b"\x81", b"\xe2\x82", b"\xc3", b"\xed\xb2\x81"]), max_size=30).map(b"".join)

_counter = itertools.count()
_folder = tempfile.TemporaryDirectory(prefix="csv-properties-")


def read_all(data: bytes, *, dialect: Mapping[str, Any] | None, chunk_rows: int, block_bytes: int, max_row_bytes: int = 2**24) -> csv_oracle.Expected | None:
    path = Path(_folder.name) / f"{next(_counter)}.csv"
    path.write_bytes(data)
    result = csv_oracle.Expected()
    limits = ReadLimits(chunk_rows=chunk_rows, max_row_bytes=max_row_bytes)
    try:
        table = CsvTable(path, dialect=None if dialect is None else parse_table_dialect(dialect), encoding="utf-8", limits=limits, block_bytes=block_bytes)
    except FileUnreadable:
        return None
    finally:
        path.unlink()
    try:
        result.labels = None if table.labels is None else list(table.labels)
        previous = 0
        for chunk in table.chunks():
            assert len(chunk.row_numbers) <= chunk_rows
            for column in chunk.columns:
                column.validate(full=True)
                assert len(column) == len(chunk.row_numbers)
            cells = [column.to_pylist() for column in chunk.columns]
            result.rows += [(int(number), [column[index] for column in cells]) for index, number in enumerate(chunk.row_numbers)]
            result.rows_lost += chunk.rows_lost
            for finding in chunk.findings:
                assert (finding.row_numbers > previous).all() or not len(finding)
                raws = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
                result.errors += [
                    (int(number), finding.column_number or 0, finding.error_type, raw) for number, raw in zip(finding.row_numbers, raws, strict=True)
                ]
            if len(chunk.row_numbers):
                previous = int(chunk.row_numbers[-1])
    finally:
        table.close()
    result.errors.sort(key=lambda error: error[:3])
    return result


DIALECTS: list[dict[str, Any]] = [
    {},
    {"doubleQuote": False},
    {"escapeChar": "\\"},
    {"escapeChar": "\\", "doubleQuote": False},
    {"quoteChar": None},
    {"commentChar": "#"},
    {"commentChar": "#", "escapeChar": "\\"},
    {"commentChar": "bc"},
    {"skipInitialSpace": True},
    {"skipInitialSpace": True, "escapeChar": "\\", "commentChar": "#"},
    {"header": False},
    {"header": False, "commentRows": [1, 3]},
    {"delimiter": ";"},
]


NOTHING_TO_FIND: Mapping[str, Any] = {"delimiter": ",", "quoteChar": '"', "escapeChar": None, "skipInitialSpace": False}


def oracle(data: bytes, dialect: Mapping[str, Any], max_row_bytes: int = 2**24) -> csv_oracle.Expected | None:
    return csv_oracle.read(data, header=dialect.get("header", True), max_row_bytes=max_row_bytes, **characters_of(dialect))


def name_header(data: bytes, dialect: Mapping[str, Any], max_row_bytes: int = 2**24) -> Mapping[str, Any]:
    """Return the dialect with the header where the oracle takes it, in the first row that is neither blank nor a comment."""
    row = None if dialect.get("header") is False else csv_oracle.find_header_row(data, max_row_bytes=max_row_bytes, **characters_of(dialect))
    return dialect if row is None else {**dialect, "headerRows": [row]}


def characters_of(dialect: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "comment_rows": dialect.get("commentRows", ()),
        "delimiter": dialect.get("delimiter", ","),
        "quote": dialect.get("quoteChar", '"'),
        "escape": dialect.get("escapeChar"),
        "double": dialect.get("doubleQuote", True),
        "skip_space": dialect.get("skipInitialSpace", False),
        "comment": dialect.get("commentChar"),
    }


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=BYTES, chunk_rows=st.sampled_from([1, 2, 3, 10_000]), block_bytes=st.sampled_from([1, 2, 3, 7, 64, 2**20]))
def test_any_file_reads_as_the_oracle_does(dialect: Mapping[str, Any], data: bytes, chunk_rows: int, block_bytes: int) -> None:
    complete = {**NOTHING_TO_FIND, **dialect}
    assert read_all(data, dialect=name_header(data, complete), chunk_rows=chunk_rows, block_bytes=block_bytes) == oracle(data, complete)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=BYTES, block_bytes=st.sampled_from([1, 2, 3, 7, 64, 2**20]))
def test_header_that_is_found_is_read_like_one_that_is_named(data: bytes, block_bytes: int) -> None:
    path = Path(_folder.name) / f"{next(_counter)}.csv"
    path.write_bytes(data)
    try:
        table = open_csv(path, dialect=None, encoding="utf-8", limits=ReadLimits())
    except FileUnreadable:
        return
    table.close()
    grammar = table._grammar
    dialect = {
        "delimiter": grammar.delimiter,
        "quoteChar": grammar.quote_char,
        "escapeChar": grammar.escape_char,
        "skipInitialSpace": grammar.skip_initial_space,
    }
    named = {**dialect, "headerRows": [table.source.header_row]}
    found = read_all(data, dialect=None, chunk_rows=10_000, block_bytes=block_bytes)
    assert found == read_all(data, dialect=named, chunk_rows=10_000, block_bytes=2**20)


@pytest.mark.parametrize("dialect", DIALECTS[:8] + DIALECTS[10:11], ids=str)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=BYTES, max_row_bytes=st.sampled_from([1, 3, 6, 12]), block_bytes=st.sampled_from([1, 2, 3, 7, 64, 2**20]))
def test_rows_past_the_limit_read_as_the_oracle_does(dialect: Mapping[str, Any], data: bytes, max_row_bytes: int, block_bytes: int) -> None:
    complete = {**NOTHING_TO_FIND, **dialect}
    actual = read_all(data, dialect=name_header(data, complete, max_row_bytes), chunk_rows=2, block_bytes=block_bytes, max_row_bytes=max_row_bytes)
    assert actual == oracle(data, complete, max_row_bytes)
