"""Many numbers at once have the texts that each of them has alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.readers.excel.cell_text import number_text
from features.processing.readers.excel.number_texts import show_numbers

EDGES = [0.0, -0.0, 1e-7, 1e-5, 0.1 + 0.2, 2 / 3, 1e9 + 0.5, 1e10 + 0.5, 1e15, -1e15, 1e15 - 1, 1e15 - 0.5, 1e16, 1.5e300, 5e-324, 434.99999999999994, 1e22]
NUMBERS = st.one_of(
    st.sampled_from(EDGES),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.integers(-(10**16), 10**16).map(float),
    st.integers(-(10**9), 10**9).map(lambda number: number / 100),
    st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 20)).map(lambda pair: pair[0] / 10 ** pair[1]),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(NUMBERS, max_size=20))
def test_texts_are_those_of_single_numbers(values: list[float]) -> None:
    assert show_numbers(np.array(values, np.float64)).to_pylist() == [number_text(value) for value in values]
