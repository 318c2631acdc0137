"""Rule that rejects keys that an earlier row already has, for `primaryKey` and `uniqueKeys`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from features.processing.checking.declarations import CheckContext, LateFinding, RowFinding, TypedChunk
from features.processing.checking.params import make_params
from features.processing.checking.value_keys import make_row_keys
from shared.descriptors.table_schema import TableSchema
from shared.texts import list_briefly


class UniqueKeyRule:
    """Compares keys with those of all earlier rows; a primary key must also be complete."""

    reports_late = False

    def __init__(self, table_schema: TableSchema, names: tuple[str, ...], context: CheckContext, *, is_primary: bool) -> None:
        self.field_names = names
        fields = {field.name: field for field in table_schema.fields}
        self._fields = [fields[name] for name in names]
        self._keys = context.keys
        self._set = context.keys.create_set()
        self._is_primary = is_primary
        self._params = make_params(fields=names)
        listed = list_briefly(names)
        self._empty_message = f"This row needs a value in each column of the primary key ({listed})."
        kind = "primary key" if is_primary else "combination of values"
        self._begun: tuple[TypedChunk, list[RowFinding]] | None = None
        self._repeated_message = f"An earlier row has the same {kind} ({listed})."

    def begin(self, chunk: TypedChunk) -> None:
        """See `KeyRule`."""
        self._begun = chunk, self._find_bad(chunk)

    def find_bad(self, chunk: TypedChunk) -> list[RowFinding]:
        """See `KeyRule`."""
        begun, self._begun = self._begun, None
        return begun[1] if begun is not None and begun[0] is chunk else self._find_bad(chunk)

    def _find_bad(self, chunk: TypedChunk) -> list[RowFinding]:
        if any(field.name not in chunk.columns for field in self._fields):
            return []
        findings = []
        complete = np.logical_and.reduce([chunk.columns[field.name].ok for field in self._fields])
        if self._is_primary:
            empty = np.flatnonzero(np.logical_or.reduce([chunk.missing[field.name] for field in self._fields]))
            if len(empty):
                findings.append(RowFinding(rows=empty, message=self._empty_message, params=self._params))
        rows = np.flatnonzero(complete)
        if len(rows):
            keys = make_row_keys(chunk, self._fields, rows, self._keys.maker)
            first_rows = self._set.add(keys, chunk.row_numbers[rows])
            is_repeated = first_rows > 0
            if bool(is_repeated.any()):
                found = RowFinding(rows=rows[is_repeated], message=self._repeated_message, params=self._params, first_rows=first_rows[is_repeated])
                findings.append(found)
        return findings

    def finish(self) -> Iterator[LateFinding]:
        """Yield nothing: all errors are found in their chunk."""
        return iter(())

    def close(self) -> None:
        """See `KeyRule`."""
        self._set.close()
