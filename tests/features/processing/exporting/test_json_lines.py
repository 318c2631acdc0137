"""Columns as JSON, read by Python's json."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.processing.exporting.json_lines import json_lines, quote_texts

TEXTS = st.none() | st.text(st.characters(codec="utf-8") | st.sampled_from('"\\\n\r\t\x00\x1f/'), max_size=8)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.text(min_size=1))
def test_any_text_under_any_name_is_the_same_when_read_again(texts: list[str | None], name: str) -> None:
    column = quote_texts(pa.array(["before", *texts], pa.string()).slice(1))
    lines = b"".join(bytes(line) for line in json_lines([name, f"{name}2"], [column, column])).decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [{name: text, f"{name}2": text} for text in texts]
