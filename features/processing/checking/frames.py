"""Chunks as typed pandas DataFrames, for `@row_check`. Importing pandas costs a process 35 MiB and 0.9 s, so this module is only imported if needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from features.processing.checking.declarations import RowRule, TypedChunk, make_messages
from features.processing.checking.typed_array import make_typed_array
from features.processing.column import Indices
from shared.descriptors.table_schema import Field

_ARROW_BOOLEAN = pd.ArrowDtype(pa.bool_())


class ChunkFrames:
    """The frames that the rules of a chunk see; a column that several rules use is converted once."""

    def __init__(self, chunk: TypedChunk, fields: Mapping[str, Field]) -> None:
        self._chunk, self._fields = chunk, fields
        self._arrays: dict[str, pa.Array] = {}

    def make(self, names: Iterable[str], *, integers_as_floats: bool = False) -> pd.DataFrame:
        """Return a frame with a column for each of the fields, indexed by `row_number`; its types are Arrow-backed: dates are dates, numbers are numbers.

        See `make_typed_array` for the types. A cell that is empty or not a value of its type is `<NA>`.
        """
        arrays = {name: self._get_array(name) for name in names}
        if integers_as_floats:
            arrays = {name: array.cast(pa.float64(), safe=False) if pa.types.is_integer(array.type) else array for name, array in arrays.items()}
        frame: pd.DataFrame = pa.table(arrays).to_pandas(types_mapper=pd.ArrowDtype)
        frame.index = pd.Index(self._chunk.row_numbers, name="row_number")
        return frame

    def _get_array(self, name: str) -> pa.Array:
        if name not in self._arrays:
            self._arrays[name] = make_typed_array(self._chunk.columns[name], self._fields[name])
        return self._arrays[name]


def find_bad_rows(rule: RowRule, frames: ChunkFrames) -> tuple[Indices, str | pa.StringArray]:
    """Return the positions in the chunk of the rows that break the rule, and the message: one sentence for all, or one for each.

    If a result does not fit Arrow's integers (a product of large ones, or one beyond 2^53 beside a fraction), the rule is asked again with floats instead.
    Raises `ValueError` if the rule does not give one answer for each row.
    """
    frame = frames.make(rule.fields)
    try:
        marked = rule.find_bad(frame)
    except pa.ArrowInvalid:
        frame = frames.make(rule.fields, integers_as_floats=True)
        marked = rule.find_bad(frame)
    bad = _find_marked(marked, frame)
    if isinstance(rule.message, str) or not len(bad):
        return bad, rule.message if isinstance(rule.message, str) else ""
    return bad, make_messages(rule.message(frame.iloc[bad]), len(bad))


def _find_marked(marked: pd.Series[bool], frame: pd.DataFrame) -> Indices:
    """Return the positions of the rows that a rule has marked: by their row numbers if the answer bears them, else by their order."""
    if len(marked) != len(frame):
        raise ValueError(f"A row check must mark each of {len(frame)} rows, but marked {len(marked)}.")
    if isinstance(marked, pd.Series) and not marked.index.equals(frame.index):
        # Row numbers begin at 1, so an index of positions, which begins at 0, is never one of row numbers in another order.
        if marked.index.sort_values().equals(frame.index):
            marked = marked.reindex(frame.index)
        elif not marked.index.equals(pd.RangeIndex(len(frame))):
            raise ValueError("A row check must answer with the index of its frame, with positions, or with an array.")
    if not (isinstance(marked, pd.Series) and marked.dtype == _ARROW_BOOLEAN):
        marked = pd.array(marked, dtype="boolean")  # slow, since pandas goes through Python objects for some types
    return np.flatnonzero(marked.fillna(value=False).to_numpy(bool))
