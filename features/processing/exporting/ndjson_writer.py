"""NDJSON of a table's good rows: an object on each line, typed by the schema.

Numbers are exact: whole numbers keep all their digits, and no number gets an exponent unless it has more than 40 digits before or after its point. Dates and
times are ISO 8601 text, moments with a zone in UTC with a `Z`; lists, arrays, objects and GeoJSON are JSON within the JSON. A missing value is null. So are
NaN and the infinite numbers, which JSON does not have; how many of them there were is said in a note.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.column_plan import JudgedColumn
from features.processing.checking.type_rule import Typed
from features.processing.checking.typed_array import make_typed_array
from features.processing.column import Mask, as_mask
from features.processing.engine import CheckedRows
from features.processing.exporting.json_lines import json_lines, quote_texts
from features.processing.exporting.output_file import OutputFile
from features.processing.exporting.typed_cells import JSON_TYPES, find_zoned, lists_as_json, name_columns, number_as_json
from features.processing.exporting.writer import CheckRoom, OpenedTable, Written
from shared.descriptors.table_schema import Field

_PLAIN_NUMBER = r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\z"
_NO_TEXT = pa.scalar(None, pa.string())


class NdjsonWriter:
    """Writes one file."""

    def __init__(self, path: Path, *, check_room: CheckRoom) -> None:
        self._path, self._check_room = path, check_room
        self._file: OutputFile | None = None
        self._table: OpenedTable | None = None
        self._names: list[str] = []
        self._rows = self._special = 0

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self.close()
        self._table, self._names = table, name_columns(table)
        self._file = OutputFile(self._path, self._check_room)
        self._rows = self._special = 0

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        assert self._file is not None
        assert self._table is not None
        good = ~rows.failed
        count = int(good.sum())
        if not count:
            return
        self._rows += count
        mask = None if count == len(good) else pa.array(good)
        values = []
        for index, text in enumerate(rows.chunk.columns):
            field = self._table.fields.get(index)
            if field is not None and index in rows.judged:
                said = self._say(rows.judged[index], field, good)
            else:
                said = quote_texts(pc.if_else(pc.equal(text, ""), _NO_TEXT, text))
            values.append(said if mask is None else said.filter(mask))
        for line in json_lines(self._names, values):
            self._file.write(line)

    def finish(self) -> Written:
        """See `OutputWriter`."""
        assert self._file is not None
        self._file.finish()
        if not self._special:
            return Written(self._rows)
        cells = "1 cell is" if self._special == 1 else f"{self._special:,} cells are"
        return Written(self._rows, [f"{cells} null, because JSON has no NaN and no infinite numbers: valid.parquet and valid.csv have them."])

    def close(self) -> None:
        """See `OutputWriter`."""
        if self._file is not None:
            self._file.discard()

    def _say(self, judged: JudgedColumn, field: Field, good: Mask) -> pa.StringArray:
        """Return the JSON of a column; what is no value, or not in a good row, may be null."""
        typed = judged.typed
        ok = typed.ok & good
        match field.type:
            case "integer" | "number":
                said, special = _say_numbers(typed, ok)
                self._special += special
                return said
            case "boolean" | "year":
                return make_typed_array(typed, field).cast(pa.string())
            case "date" | "time" | "datetime":
                return _say_times(typed, field)
            case "list":
                return lists_as_json(typed, ok, field)
        text = pc.if_else(pa.array(ok), typed.column.text, _NO_TEXT)
        if field.type in JSON_TYPES or (field.type == "geopoint" and field.format != "default"):
            # A line break can only stand between the parts of JSON, where it means nothing.
            return pc.replace_substring_regex(text, r"[\r\n]+", " ")
        return quote_texts(text)


def _say_numbers(typed: Typed, ok: Mask) -> tuple[pa.StringArray, int]:
    """Return the numbers of a column, and how many of them JSON does not have."""
    text = typed.column.text
    is_plain = as_mask(pc.fill_null(pc.match_substring_regex(text, _PLAIN_NUMBER), False)) & ok
    said = pc.if_else(pa.array(is_plain), text, _NO_TEXT)
    rest = np.flatnonzero(ok & ~is_plain)
    if not len(rest):
        return said, 0
    values = [number_as_json(value) if isinstance(value, int) or value.is_finite() else None for value in typed.values(rest)]
    return pc.replace_with_mask(said, pa.array(ok & ~is_plain), pa.array(values, pa.string())), values.count(None)


def _say_times(typed: Typed, field: Field) -> pa.StringArray:
    text = pc.replace_substring(make_typed_array(typed, field).cast(pa.string()), ".000000", "")
    if field.type == "datetime":
        text = pc.replace_substring(text, " ", "T")
        zoned = find_zoned(typed, field)
        if bool(zoned.any()):
            text = pc.if_else(pa.array(zoned), pc.binary_join_element_wise(text, "Z", ""), text)
    return quote_texts(text)
