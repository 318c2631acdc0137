"""Write out many numbers at once; the texts are those of `cell_text.number_text`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.readers.excel.cell_text import EXACT_DIGITS, LONG_NUMBERS, number_text

_FIRST_LONG = float(LONG_NUMBERS.start)


def show_numbers(values: npt.NDArray[np.float64]) -> pa.StringArray:
    """Return the text of each number; all are finite."""
    is_whole = (np.abs(values) < _FIRST_LONG) & (np.floor(values) == values)
    whole = np.flatnonzero(is_whole)
    # Also in a sheet of decimals some numbers are whole, and of those none takes more digits.
    wholes = pa.array(values[whole].astype(np.int64)).cast(pa.string())
    if len(whole) == len(values):
        return wholes
    others = np.flatnonzero(~is_whole)
    decimals = _show_decimals(values[others])
    if not len(whole):
        return decimals
    order = np.empty(len(values), np.int64)
    order[whole], order[others] = np.arange(len(whole)), np.arange(len(whole), len(values))
    return pa.concat_arrays([wholes, decimals]).take(pa.array(order))


def _show_decimals(values: npt.NDArray[np.float64]) -> pa.StringArray:
    """Show numbers that are not whole, or too long for that."""
    texts = pa.array(values).cast(pa.string())
    # The shortest text that gives the number: if it has no more digits than are shown, it is what is shown.
    lengths = np.diff(np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)) - (values < 0)
    is_shown = (lengths <= EXACT_DIGITS + 1) & ~pc.match_substring(texts, "e").to_numpy(zero_copy_only=False)
    left = np.flatnonzero(~is_shown)
    if not len(left):
        return texts
    shown = pa.array([number_text(value) for value in values[left].tolist()], type=pa.string())
    order = np.arange(len(values))
    order[left] = np.arange(len(values), len(values) + len(left))
    return pa.concat_arrays([texts, shown]).take(pa.array(order))
