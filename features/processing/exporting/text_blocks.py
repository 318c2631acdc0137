"""Join columns of text to lines, whole blocks of rows at a time: there is no loop over rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BLOCK_BYTES = 8 * 2**20
"""About so many bytes are joined at a time."""


def split_rows(columns: Sequence[pa.Array], *, extra_bytes: int) -> Iterator[list[pa.Array]]:
    """Yield the columns in parts of rows, of about `BLOCK_BYTES` each; `extra_bytes` is what a row has besides its cells."""
    rows = len(columns[0]) if columns else 0
    if not rows:
        return
    size_bytes = sum(column.nbytes for column in columns) + rows * extra_bytes
    step = max(1, rows * BLOCK_BYTES // max(size_bytes, 1))
    for start in range(0, rows, step):
        yield [column.slice(start, step) for column in columns]


def join_columns(parts: Sequence[pa.StringArray | str], rows: int) -> memoryview:
    """Return the bytes of all rows: each is what `parts` have for it, one after the other; texts are the same in all rows. No column has a null."""
    joined = pc.binary_join_element_wise(*(part if isinstance(part, pa.Array) else pa.scalar(part) for part in parts), "")
    if isinstance(joined, pa.Scalar):
        return memoryview(joined.as_py().encode() * rows)
    return bytes_of(joined)


def bytes_of(texts: pa.StringArray) -> memoryview:
    """Return the bytes of all texts, one after the other; nothing is copied."""
    offsets, data = texts.buffers()[1:]
    if data is None or not len(texts):
        return memoryview(b"")
    first, last = (np.frombuffer(offsets, np.int32)[texts.offset + place] for place in (0, len(texts)))
    return memoryview(data)[int(first) : int(last)]
