"""Chunks as typed pandas DataFrames, for `@row_check`. Importing pandas costs a process 35 MiB and 0.9 s, so this module is only imported if needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from features.processing.checking.declarations import RowRule, TypedChunk
from features.processing.checking.typed_array import make_typed_array
from features.processing.column import Indices
from shared.descriptors.table_schema import Field

_ARROW_BOOLEAN = pd.ArrowDtype(pa.bool_())


def make_frame(chunk: TypedChunk, fields: Iterable[Field]) -> pd.DataFrame:
    """Return a frame with a column for each of `fields`, indexed by `row_number`; its types are Arrow-backed: dates are dates, numbers are numbers.

    See `make_typed_array` for the types. A cell that is empty or not a value of its type is `<NA>`.
    """
    columns = {field.name: make_typed_array(chunk.columns[field.name], field) for field in fields}
    frame: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    frame.index = pd.Index(chunk.row_numbers, name="row_number")
    return frame


def find_bad_rows(rule: RowRule, chunk: TypedChunk, fields: Mapping[str, Field]) -> tuple[Indices, str | pa.StringArray]:
    """Return the positions in the chunk of the rows that break the rule, and the message: one sentence for all, or one for each.

    Raises `ValueError` if the rule does not give one answer for each row.
    """
    frame = make_frame(chunk, (fields[name] for name in rule.fields))
    marked = rule.find_bad(frame)
    if isinstance(marked, pd.Series) and len(marked) == len(frame) and not marked.index.equals(frame.index):
        # Sorted on the way: each answer belongs to the row number that it bears.
        marked = marked.reindex(frame.index)
    if len(marked) != len(frame):
        raise ValueError(f"A row check must mark each of {len(frame)} rows, but marked {len(marked)}.")
    if not (isinstance(marked, pd.Series) and marked.dtype == _ARROW_BOOLEAN):
        marked = pd.array(marked, dtype="boolean")  # slow, since pandas goes through Python objects for some types
    bad = np.flatnonzero(marked.fillna(value=False).to_numpy(bool))
    if isinstance(rule.message, str) or not len(bad):
        return bad, rule.message if isinstance(rule.message, str) else ""
    messages = rule.message(frame.iloc[bad])
    if isinstance(messages, str) or len(messages) != len(bad):
        given = "one text" if isinstance(messages, str) else str(len(messages))
        raise ValueError(f"A row check must give one message for each of {len(bad)} bad rows, but gave {given}.")
    return bad, pa.array(messages, pa.string())
