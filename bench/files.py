"""Make the files to measure: ten columns of every kind, with a known share of bad cells, and the list of their true errors.

Rows depend only on seed, size and share, so a file is the same on every machine. A file is made once, into a folder, and reused from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

SEED = 20_261_123
BATCH_ROWS = 250_000
RAGGED_SHARE = 0.004
"""Share of ragged rows, half of them too short and half too long; only in files that have bad cells."""
BLANK_SHARE = 0.001
EXTRA_TEXT = "more"
EARLIEST_DAY, LAST_DAY = np.datetime64("2000-01-01"), np.datetime64("2026-11-01")
MAX_NAME, MAX_COMMENT = 40, 60
COUNTRIES = ("AT", "BE", "CH", "CZ", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IT", "NL", "NO", "PL", "PT", "SE", "SK", "UA", "US")
EMAIL_PATTERN = r"[a-z0-9.]+@[a-z0-9.]+\.[a-z]{2,6}"
PHONE_PATTERN = r"\+[0-9]{9,15}"

COLUMNS = ("id", "name", "email", "country", "joined", "balance", "score", "active", "phone", "comment")
TABLE_SCHEMA: Mapping[str, Any] = {
    "fields": [
        {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True, "minimum": 1}},
        {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": MAX_NAME}},
        {"name": "email", "type": "string", "constraints": {"required": True, "pattern": EMAIL_PATTERN}},
        {"name": "country", "type": "string", "constraints": {"required": True, "enum": list(COUNTRIES)}},
        {"name": "joined", "type": "date", "constraints": {"required": True, "minimum": str(EARLIEST_DAY)}},
        {"name": "balance", "type": "number", "constraints": {"required": True, "minimum": 0}},
        {"name": "score", "type": "number", "constraints": {"required": True}},
        {"name": "active", "type": "boolean", "constraints": {"required": True}},
        {"name": "phone", "type": "string", "constraints": {"required": True, "pattern": PHONE_PATTERN}},
        {"name": "comment", "type": "string", "constraints": {"maxLength": MAX_COMMENT}},
    ]
}

_FIRST_NAMES = (
    "Ada",
    "Grace",
    "Linus",
    "Edsger",
    "Barbara",
    "Donald",
    "Margaret",
    "Alan",
    "Frances",
    "Ken",
    "Radia",
    "Tim",
    "Jean",
    "Niklaus",
    "Adele",
    "Øyvind",
)
_LAST_NAMES = (
    "Lovelace",
    "Hopper",
    "Berg",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Hamilton",
    "Turing",
    "Allen",
    "O'Neil",
    "Perlman",
    "Lee",
    "Bartik",
    "Wirth",
    "Müller",
)
_COMMENTS = (
    "",
    "no remarks",
    "paid in full",
    "call back on Monday",
    "prefers letters, not calls",
    'known as "the boss"',
    "moved house\nnew address follows",
    "first order, second delivery,\nthird reminder",
    'says: "soon", asks\r\nfor "more time"',
    "customer since the beginning",
)
_TOO_LONG = "this remark was typed by somebody who did not know, or did not care, how long it may be"

_BAD_CELLS: Mapping[str, Sequence[tuple[str, str]]] = {
    "id": (("type-error", "12a"), ("type-error", "0x1F"), ("type-error", "1_000"), ("required-error", ""), ("minimum-error", "-"), ("unique-error", "")),
    "name": (("required-error", ""), ("required-error", "  "), ("max-length-error", "A name that is much longer than anybody needs")),
    "email": (("required-error", ""), ("pattern-error", "nobody"), ("pattern-error", "me@home"), ("pattern-error", "a b@example.org")),
    "country": (("required-error", ""), ("enum-error", "XX"), ("enum-error", "de"), ("enum-error", "Germany")),
    "joined": (("required-error", ""), ("type-error", "2024-02-30"), ("type-error", "31.12.2024"), ("type-error", "20240105"), ("minimum-error", "1999-12-31")),
    "balance": (("required-error", ""), ("type-error", "12,50"), ("type-error", "n/a"), ("minimum-error", "-3.50")),
    "score": (("required-error", ""), ("type-error", "0x1F"), ("type-error", "--"), ("type-error", "1.2.3")),
    "active": (("required-error", ""), ("type-error", "yes"), ("type-error", "2"), ("type-error", '"true"')),
    "phone": (("required-error", ""), ("pattern-error", "030/123456"), ("pattern-error", "+12"), ("pattern-error", "unknown")),
    "comment": (("max-length-error", _TOO_LONG), ("max-length-error", _TOO_LONG.replace(" or ", ' "or" '))),
}

TRUTH_SCHEMA = pa.schema([("row_number", pa.int64()), ("column_number", pa.int32()), ("error_type", pa.string()), ("raw_value", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch of a table's rows."""

    columns: Sequence[pa.StringArray]
    """The text of the cells, including those that a short row leaves out."""
    bad: Sequence[Mask]
    """For each column, a mask of its bad cells."""
    row_numbers: Ints
    widths: Ints
    """How many cells each row has: fewer than the table's columns, or more."""
    blank_rows: Ints
    """How many blank rows follow each row."""
    truth: pa.Table
    """The true errors as `TRUTH_SCHEMA`, ordered by row, then column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """A file and the true counts of its rows and errors."""

    path: Path
    rows: int
    """All rows that count, including blank ones."""
    rows_failed: int
    error_count: int

    @property
    def truth_path(self) -> Path:
        """The path of the true errors (Parquet, `TRUTH_SCHEMA`)."""
        return self.path.with_suffix(".truth.parquet")

    def read_truth(self) -> pa.Table:
        """Read every true error of the file."""
        return pq.read_table(self.truth_path)


def make_csv(folder: Path, *, rows: int, bad_share: float, keep_truth: bool = True) -> BenchFile:
    """Make a CSV file of `rows` rows with a share `bad_share` (0 to 1) of bad cells; unless it is 0, some rows are ragged and some are blank."""
    path = folder / f"{rows}x{bad_share:g}.csv"
    return load(path) or _write_csv(path, rows=rows, bad_share=bad_share, keep_truth=keep_truth)


def make_batches(rows: int, bad_share: float, *, ragged: bool = True) -> Iterator[Batch]:
    """Yield the table's rows in order; with `ragged=False` every row has all cells, as in a workbook."""
    row_number = 2
    for first in range(0, rows, BATCH_ROWS):
        batch = _make_batch(first, min(BATCH_ROWS, rows - first), row_number, bad_share, ragged=ragged, is_last=first + BATCH_ROWS >= rows)
        row_number = int(batch.row_numbers[-1]) + 1
        yield batch


def load(path: Path) -> BenchFile | None:
    """Return the file if it was made before; None otherwise."""
    notes = path.with_suffix(path.suffix + ".json")
    return BenchFile(path=path, **json.loads(notes.read_text())) if path.exists() and notes.exists() else None


def save(path: Path, batches: Sequence[Batch] | Iterator[Batch], *, keep_truth: bool) -> BenchFile:
    """Write the true errors of `batches` next to `path`, and the counts that `load` needs; return the file."""
    tables: list[pa.Table] = []
    rows = rows_failed = errors = 0
    for batch in batches:
        rows += len(batch.row_numbers) + int(batch.blank_rows.sum())
        blank_runs = int(np.count_nonzero(batch.blank_rows))
        rows_failed += pc.count_distinct(batch.truth["row_number"]).as_py() - blank_runs + int(batch.blank_rows.sum())
        errors += batch.truth.num_rows
        tables += [batch.truth] if keep_truth else []
    made = BenchFile(path=path, rows=rows, rows_failed=rows_failed, error_count=errors)
    if keep_truth:
        pq.write_table(pa.concat_tables(tables), made.truth_path)
    path.with_suffix(path.suffix + ".json").write_text(json.dumps({"rows": rows, "rows_failed": rows_failed, "error_count": errors}))
    return made


def _write_csv(path: Path, *, rows: int, bad_share: float, keep_truth: bool) -> BenchFile:
    path.parent.mkdir(parents=True, exist_ok=True)

    def written() -> Iterator[Batch]:
        with path.open("wb") as file:
            file.write((",".join(COLUMNS) + "\n").encode())
            for batch in make_batches(rows, bad_share):
                # The texts of an Arrow array are stored one after another, so its data buffer is the file's content.
                lines = _to_lines(batch).cast(pa.large_string())
                file.write(lines.buffers()[2])
                yield batch

    return save(path, written(), keep_truth=keep_truth)


def _to_lines(batch: Batch) -> pa.Array:
    cells = [_quote(column) for column in batch.columns]
    lines = pc.binary_join_element_wise(*cells, ",")
    for width in np.unique(batch.widths):
        if width != len(cells):
            chosen = pa.array(batch.widths == width)
            parts = [cell.filter(chosen) for cell in cells[:width]]
            parts += [pa.repeat(EXTRA_TEXT, len(parts[0]))] * (int(width) - len(cells))
            lines = pc.replace_with_mask(lines, chosen, pc.binary_join_element_wise(*parts, ","))
    ends = pa.array(["\n" * (1 + count) for count in range(int(batch.blank_rows.max()) + 1)]).take(pa.array(batch.blank_rows))
    return pc.binary_join_element_wise(lines, ends, "")


def _quote(column: pa.StringArray) -> pa.StringArray:
    doubled = pc.binary_join_element_wise("", pc.replace_substring(column, '"', '""'), "", '"')
    return pc.if_else(pc.match_substring_regex(column, '[",\r\n]'), doubled, column)


def _make_batch(first: int, size: int, row_number: int, bad_share: float, *, ragged: bool, is_last: bool) -> Batch:
    random = np.random.default_rng([SEED, first, round(bad_share * 1000)])
    columns = _make_good_columns(random, np.arange(first + 1, first + size + 1))
    widths = np.full(size, len(COLUMNS), np.int64)
    blank_rows = np.zeros(size, np.int64)
    if bad_share:
        if ragged:
            chosen = np.flatnonzero(random.random(size) < RAGGED_SHARE)
            widths[chosen] = random.choice([4, 7, 9, 11, 11, 12], len(chosen))
        chosen = np.flatnonzero(random.random(size) < BLANK_SHARE)
        blank_rows[chosen] = random.integers(1, 4, len(chosen))
        if is_last:
            blank_rows[-1] = 0  # blank rows at the end of a file do not count
    row_numbers = row_number + np.arange(size) + np.concatenate([[0], np.cumsum(blank_rows)[:-1]])
    bad: list[Mask] = []
    errors = [_structure_errors(row_numbers, widths, blank_rows)]
    for index, name in enumerate(COLUMNS):
        is_bad = random.random(size) < bad_share
        kinds = random.integers(0, len(_BAD_CELLS[name]), size)
        if name == "id":
            kinds = _choose_id_kinds(kinds, is_bad, widths)
        types, texts = _make_bad_cells(name, columns[index], is_bad, kinds)
        columns[index] = pc.replace_with_mask(columns[index], pa.array(is_bad), texts)
        bad.append(is_bad)
        seen = pa.array(widths[is_bad] > index)
        count = int(is_bad.sum())
        found = pa.table([pa.array(row_numbers[is_bad]), pa.repeat(pa.scalar(index + 1, pa.int32()), count), types, texts], schema=TRUTH_SCHEMA)
        errors.append(found.filter(seen))
    truth = pa.concat_tables(errors).sort_by([("row_number", "ascending"), ("column_number", "ascending")])
    return Batch(columns=columns, bad=bad, row_numbers=row_numbers, widths=widths, blank_rows=blank_rows, truth=truth)


def _make_good_columns(random: np.random.Generator, ids: Ints) -> list[pa.StringArray]:
    size = len(ids)

    def pick(texts: Sequence[str]) -> pa.StringArray:
        return pa.array(texts).take(pa.array(random.integers(0, len(texts), size)))

    def join(*parts: pa.StringArray | str) -> pa.StringArray:
        return pc.binary_join_element_wise(*parts, "")

    number = pa.array(ids).cast(pa.string())
    first, last = pick(_FIRST_NAMES), pick(_LAST_NAMES)
    days = EARLIEST_DAY + random.integers(0, int((LAST_DAY - EARLIEST_DAY).astype(int)), size)
    cents = random.integers(0, 1_000_000, size)
    return [
        number,
        join(first, " ", last),
        join(pick(("ada", "info", "sales.north", "me")), number, "@", pick(("example.org", "mail.example.com", "test.example.net"))),
        pick(COUNTRIES),
        pa.array(days.astype("datetime64[D]")).cast(pa.string()),
        join(pa.array(cents // 100).cast(pa.string()), ".", pc.utf8_lpad(pa.array(cents % 100).cast(pa.string()), 2, "0")),
        pa.array(np.round(random.normal(0, 100, size), 6)).cast(pa.string()),
        pick(("true", "false")),
        join("+", pa.array(random.integers(10**10, 10**12, size)).cast(pa.string())),
        pick(_COMMENTS),
    ]


def _make_bad_cells(name: str, good: pa.StringArray, is_bad: Mask, kinds: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the error types and the texts of one column's bad cells."""
    choices = _BAD_CELLS[name]
    chosen = kinds[is_bad]
    texts = pa.array([text for _, text in choices]).take(pa.array(chosen))
    if name == "id":
        numbers = good.filter(pa.array(is_bad))
        before = good.take(pa.array(np.maximum(np.flatnonzero(is_bad) - 1, 0)))
        texts = pc.if_else(pa.array(chosen == _ID_NEGATIVE), pc.binary_join_element_wise("-", numbers, ""), texts)
        texts = pc.if_else(pa.array(chosen == _ID_COPY), before, texts)
    return pa.array([error_type for error_type, _ in choices]).take(pa.array(chosen)), texts


_ID_TEXT, _ID_EMPTY, _ID_NEGATIVE, _ID_COPY = 0, 3, 4, 5
"""Positions in `_BAD_CELLS["id"]`."""


def _choose_id_kinds(kinds: Ints, is_bad: Mask, widths: Ints) -> Ints:
    """Return the kinds without copies of a number that is itself bad, and without empty cells in short rows, which could make the row blank."""
    lonely = np.concatenate([[True], is_bad[:-1]])
    unfit = ((kinds == _ID_COPY) & lonely) | ((kinds == _ID_EMPTY) & (widths < len(COLUMNS)))
    return np.where(unfit, _ID_TEXT, kinds)


def _structure_errors(row_numbers: Ints, widths: Ints, blank_rows: Ints) -> pa.Table:
    blank = row_numbers[blank_rows > 0] + 1
    numbers, places = [blank], [np.zeros(len(blank), np.int64)]
    width = len(COLUMNS)
    for column in range(1, int(widths.max(initial=width)) + 1):
        at_fault = row_numbers[(widths < column) if column <= width else (widths >= column)]
        numbers.append(at_fault)
        places.append(np.full(len(at_fault), column))
    column_numbers = np.concatenate(places)
    types = pa.array(["blank-row", "missing-cell", "extra-cell"]).take(pa.array(np.where(column_numbers == 0, 0, np.where(column_numbers <= width, 1, 2))))
    raw = pc.if_else(pc.equal(types, "extra-cell"), EXTRA_TEXT, pa.scalar(None, pa.string()))
    return pa.table([pa.array(np.concatenate(numbers)), pa.array(column_numbers, mask=column_numbers == 0).cast(pa.int32()), types, raw], schema=TRUTH_SCHEMA)
