"""Texts that a spreadsheet would run."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.exporting.formula_guard import guard_formulas, is_formula


@pytest.mark.parametrize("text", ["=1+1", "+1+cmd", "-x", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "-1-1", "-1\n", "=5"])
def test_formula_is_guarded(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize("text", ["", "a", "-5", "+5", "-5.5", "-5,5", "-.5", "+1e5", "5-", " =1", "'=1"])
def test_number_and_text_are_not(text: str) -> None:
    assert not is_formula(text)


@given(st.lists(st.none() | st.text(st.sampled_from("=+-@\t\r\n15e.,a"), max_size=5)))
def test_a_column_is_guarded_like_single_texts(texts: list[str | None]) -> None:
    guarded = guard_formulas(pa.array(texts, pa.string())).to_pylist()
    assert guarded == [None if text is None else f"'{text}" if is_formula(text) else text for text in texts]
