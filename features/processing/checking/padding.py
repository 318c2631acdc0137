"""Say of a text that it is in no list, or matches no pattern, only because of blanks around it or characters that cannot be seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.explain import HIDDEN, describe_padding
from features.processing.checking.reasons import most_explained
from features.processing.column import Column, Indices, Mask, as_mask
from shared.descriptors.table_schema import Field
from shared.descriptors.table_schema.patterns import plan_pattern

_MAX_BYTES = 400
_HIDDEN = "[" + "".join(HIDDEN) + "]"

FindBad = Callable[[Column], Mask]


def find_bad_without_padding(field: Field, error_type: str, find_bad_in_list: FindBad) -> FindBad | None:
    """Return what judges texts whose padding was removed; None if an error of this type has nothing to do with padding."""
    if error_type in ("enum-error", "category-error"):
        return find_bad_in_list
    pattern = plan_pattern(field.constraints.pattern).re2_pattern if error_type == "pattern-error" and field.constraints.pattern is not None else None
    return None if pattern is None else lambda column: ~as_mask(pc.match_substring_regex(column.text, pattern))


def name_padding(column: Column, rows: Indices, said: str | pa.StringArray, find_bad: FindBad) -> str | pa.StringArray:
    """Return what is said of some bad cells, with the padding of those that would be good without it."""
    texts = column.text.take(pa.array(rows))
    cleaned = pc.utf8_trim_whitespace(texts)
    if not Column(cleaned).is_ascii:
        cleaned = pc.utf8_trim_whitespace(pc.replace_substring_regex(cleaned, _HIDDEN, ""))
    padded = np.flatnonzero(as_mask(pc.not_equal(cleaned, texts)) & (column.sizes[rows] <= _MAX_BYTES))[: most_explained(len(column))]
    if not len(padded):
        return said
    fine = padded[~find_bad(Column(cleaned.take(pa.array(padded))))]
    if not len(fine):
        return said
    sentences = [said] * len(rows) if isinstance(said, str) else said.to_pylist()
    for place, text in zip(fine.tolist(), texts.take(pa.array(fine)).to_pylist(), strict=True):
        sentences[place] = f"{sentences[place].removesuffix('.')}: {describe_padding(text)}."
    return sentences[0] if len(set(sentences)) == 1 else pa.array(sentences, pa.string())
