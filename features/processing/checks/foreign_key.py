"""`foreignKeys` within the same file: they are only settled after the last row, so rows whose key was not found yet wait, on disk if there are many."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import numpy.typing as npt

from features.processing.checking.declarations import CheckContext, KeyRule, LateFinding, RowFinding, TypedChunk, key_check
from features.processing.checking.params import make_params
from features.processing.checking.value_keys import make_row_keys
from features.processing.column import Mask
from features.processing.keys.packed_keys import PackedKeys
from shared.descriptors.table_schema import ForeignKey, TableSchema
from shared.temporary_files import discard_file
from shared.texts import list_briefly

_WAITING = np.dtype([("row", np.int64), ("high", np.uint64), ("low", np.uint64), ("failed", np.bool_)])
_BATCH_ROWS = 65_536
_SPOOL_BYTES = 2**22


@key_check("foreign_key", error_type="foreign-key-error")
def build(table_schema: TableSchema, context: CheckContext) -> Sequence[KeyRule]:
    """Reject rows whose key does not occur in the fields that it refers to; keys with an empty part refer to nothing."""
    return [_ForeignKeyRule(table_schema, key, context) for key in table_schema.foreign_keys]


class _ForeignKeyRule:
    def __init__(self, table_schema: TableSchema, key: ForeignKey, context: CheckContext) -> None:
        self.field_names = (*key.fields, *key.reference_fields)
        fields = {field.name: field for field in table_schema.fields}
        self._fields = [fields[name] for name in key.fields]
        self._reference_fields = [fields[name] for name in key.reference_fields]
        # Values of different types are never equal, but their texts can be.
        self._as_text = any(mine.type != theirs.type or mine.format != theirs.format for mine, theirs in zip(self._fields, self._reference_fields, strict=True))
        self._keys = context.keys
        self._known = context.keys.create_set()
        directory = context.limits.spill_dir
        self._waiting: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, prefix="rows-", dir=str(directory) if directory is not None else None)  # noqa: SIM115 - closed by close()
        self._params = make_params(fields=key.fields, reference_fields=key.reference_fields)
        mine, theirs = list_briefly(key.fields), list_briefly(key.reference_fields)
        self._message = f"The value in {mine} must also occur in {theirs} of this file."

    def find_bad(self, chunk: TypedChunk) -> list[RowFinding]:
        if any(field.name not in chunk.columns for field in (*self._fields, *self._reference_fields)):
            return []
        rows = np.flatnonzero(np.logical_and.reduce([chunk.columns[field.name].ok for field in self._reference_fields]))
        if len(rows):
            self._known.add(make_row_keys(chunk, self._reference_fields, rows, self._keys.maker, as_text=self._as_text), chunk.row_numbers[rows])
        rows = np.flatnonzero(np.logical_and.reduce([chunk.columns[field.name].ok for field in self._fields]))
        if len(rows):
            keys = make_row_keys(chunk, self._fields, rows, self._keys.maker, as_text=self._as_text)
            is_open = ~self._known.contains(keys)
            waiting = np.zeros(int(is_open.sum()), _WAITING)
            waiting["row"], waiting["failed"] = chunk.row_numbers[rows[is_open]], chunk.failed[rows[is_open]]
            waiting["high"], waiting["low"] = keys.take(is_open)
            self._waiting.write(waiting.tobytes())
        return []

    def finish(self) -> Iterator[LateFinding]:
        self._waiting.seek(0)
        while data := self._waiting.read(_BATCH_ROWS * _WAITING.itemsize):
            waiting = np.frombuffer(data, _WAITING)
            keys = PackedKeys(np.ascontiguousarray(waiting["high"]), np.ascontiguousarray(waiting["low"]))
            lost: npt.NDArray[np.void] = waiting[~self._known.contains(keys)]
            had_failed: Mask = np.ascontiguousarray(lost["failed"])
            if len(lost):
                yield LateFinding(row_numbers=np.ascontiguousarray(lost["row"]), had_failed=had_failed, message=self._message, params=self._params)

    def close(self) -> None:
        self._known.close()
        discard_file(self._waiting)
