"""Write columns as JSON, an object for each row on a line of its own. Source: RFC 8259."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.exporting.text_blocks import bytes_of, join_columns, split_rows

NULL = "null"
_SPACE, _QUOTE, _BACKSLASH = b' "\\'
_CONTROL = r"[\x00-\x1f]"


def json_lines(names: Sequence[str], values: Sequence[pa.StringArray]) -> Iterator[memoryview]:
    """Yield the lines of some rows: objects with these names; `values` are JSON already, and a null is written as `null`."""
    keys = [f"{',' if number else '{'}{json.dumps(name, ensure_ascii=False)}:" for number, name in enumerate(names)]
    for part in split_rows(values, extra_bytes=sum(map(len, keys))):
        parts: list[pa.StringArray | str] = []
        for key, column in zip(keys, part, strict=True):
            parts += [key, column.fill_null(NULL) if column.null_count else column]
        yield join_columns([*parts, "}\n"], len(part[0]))


def quote_texts(texts: pa.StringArray) -> pa.StringArray:
    """Return texts as JSON strings; a null stays one."""
    data = np.frombuffer(bytes_of(texts), np.uint8)
    if bool((data == _BACKSLASH).any()):
        texts = pc.replace_substring(texts, "\\", "\\\\")
    if bool((data == _QUOTE).any()):
        texts = pc.replace_substring(texts, '"', '\\"')
    if bool((data < _SPACE).any()):
        texts = _escape_controls(texts)
    return pc.binary_join_element_wise('"', texts, '"', "")


def _escape_controls(texts: pa.StringArray) -> pa.StringArray:
    has_control = pc.fill_null(pc.match_substring_regex(texts, _CONTROL), False)
    # Quotes and backslashes are escaped already, so only control characters are left for json.
    escaped = ["".join(json.dumps(each)[1:-1] if each < " " else each for each in text) for text in texts.filter(has_control).to_pylist()]
    return pc.replace_with_mask(texts, has_control, pa.array(escaped, pa.string()))
