"""Serial numbers that are shown many at once are shown as they are one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.readers.excel.cell_text import LAST_SERIAL, show_value
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.serial_texts import show_serials

SERIALS = st.one_of(
    st.integers(-5, 3_000_000),
    st.integers(0, 70),
    st.floats(-5, 3_000_000),
    st.floats(0, 70),
    st.builds(lambda day, second: day + second / 86_400, st.integers(0, 2_958_470), st.integers(0, 86_400)),
    st.builds(lambda day, half: day + (half + 0.5) / 86_400, st.integers(0, 2_958_470), st.integers(0, 86_399)),
)


@given(st.lists(SERIALS, min_size=1), st.sampled_from([FormatKind.DATE, FormatKind.TIME, FormatKind.DATETIME]), st.booleans())
def test_texts_are_those_of_single_values(values: list[float], kind: FormatKind, is_1904: bool) -> None:
    shown_as = NumberFormat(kind)
    shown = show_serials(np.array(values, np.float64), shown_as, is_1904=is_1904)
    assert shown is not None
    expected = [show_value(value, shown_as, is_1904=is_1904) for value, is_shown in zip(values, shown.is_shown.tolist(), strict=True) if is_shown]
    assert [(text, shown.native_type) for text in shown.texts.to_pylist()] == expected


@pytest.mark.parametrize("is_1904", [False, True])
def test_every_day_is_shown(is_1904: bool) -> None:
    days = np.arange(61, LAST_SERIAL[is_1904], dtype=np.float64)
    shown = show_serials(days, NumberFormat(FormatKind.DATE), is_1904=is_1904)
    assert shown is not None
    assert bool(shown.is_shown.all())
    texts = shown.texts.to_pylist()
    assert texts == sorted(texts)
    assert len(set(texts)) == len(days)
    assert texts[0] == ("1904-03-02" if is_1904 else "1900-03-01")
    assert texts[-1] == "9999-12-31"


@pytest.mark.parametrize(
    "shown_as",
    [
        NumberFormat(),
        NumberFormat(FormatKind.DURATION),
        NumberFormat(FormatKind.MOMENT),
        NumberFormat(FormatKind.TIME, decimals=1),
        NumberFormat(FormatKind.ZEROS, digits=5),
    ],
)
def test_other_formats_are_left_to_single_steps(shown_as: NumberFormat) -> None:
    assert show_serials(np.array([1.0]), shown_as, is_1904=False) is None
