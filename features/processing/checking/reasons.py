"""Which sentence tells of each refused cell: that of its type, or one that says what is wrong with it, found at a bounded cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.explain import OR, Explainer, make_explainer
from features.processing.column import Indices
from shared.descriptors.table_schema import Field

_MAX_EXPLAINED, _ROWS = 250, 10_000
"""How many texts of a column are looked at for so many rows: past that, one is taken to be like those of the same shape."""
_EXAMPLES = 8
"""How many texts of one shape are looked at first."""
_FEW, _MAX_KEPT = 40, 1_000
_MAX_SHAPE_BYTES = 64
_TO_NINE = str.maketrans("0123456789", "9999999999")
_DIGITS_AS_NINE = np.arange(256, dtype=np.uint8)
_DIGITS_AS_NINE[ord("0") : ord("9") + 1] = ord("9")


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why cells of a column are no values."""

    messages: Sequence[str]
    """One plain sentence each."""
    codes: npt.NDArray[np.int32]
    """For each cell, which of the messages tells of it."""

    def of_rows(self, rows: Indices) -> str | pa.StringArray:
        """Return the message of each of some cells; a single text if it is the same for all."""
        codes = self.codes[rows]
        if len(codes) and int(codes.min()) == int(codes.max()):
            return self.messages[int(codes[0])]
        return pa.array(self.messages, pa.string()).take(pa.array(codes))


class ReasonFinder:
    """Finds the messages of the refused cells of one field."""

    def __init__(self, field: Field, message: str, is_value: Callable[[str], bool]) -> None:
        self._message = message
        self._explain = make_explainer(field, is_value)
        self._by_shape = field.type in ("date", "time", "datetime")
        self._known: dict[str, str | None] = {}

    def find(self, texts: pa.StringArray, given: Mapping[int, str], *, rows: int) -> tuple[list[str], npt.NDArray[np.int32]]:
        """Return the messages of distinct refused texts, and for each text the number of its message; number 0 is the message of the type.

        `given` has the messages that are known already, by number of the text; the texts are those of so many `rows`.
        """
        messages = {self._message: 0}
        codes = np.zeros(len(texts), np.int32)
        for number, message in given.items():
            codes[number] = messages.setdefault(message, len(messages))
        if self._explain is not None and len(texts):
            is_few = len(texts) <= _FEW
            reasons = self._explain_few(texts.to_pylist()) if is_few else _explain_all(texts, self._explain, most_explained(rows), by_shape=self._by_shape)
            for numbers, reason in reasons:
                codes[numbers] = messages.setdefault(f"{self._message.removesuffix('.')}: {reason}.", len(messages))
        return list(messages), codes

    def _explain_few(self, texts: Sequence[str]) -> list[tuple[int, str]]:
        """Return the reasons of a few texts, by number; those of texts that come again and again are kept."""
        assert self._explain is not None
        if len(self._known) > _MAX_KEPT:
            self._known.clear()
        for text in texts:
            if text not in self._known:
                self._known[text] = self._explain(text)
        found = [(number, reason) for number, text in enumerate(texts) if (reason := self._known[text]) is not None]
        if not self._by_shape or not any(OR in reason for _, reason in found):
            return found
        by_shape: dict[str, list[tuple[int, str]]] = {}
        for number, reason in found:
            by_shape.setdefault(texts[number].translate(_TO_NINE), []).append((number, reason))
        agreed = [(numbered, _agree([reason for _, reason in numbered])) for numbered in by_shape.values()]
        return [(number, common or reason) for numbered, common in agreed for number, reason in numbered]


def most_explained(rows: int) -> int:
    """Return how many texts of a column of so many rows are looked at."""
    return _MAX_EXPLAINED * max(1, -(-rows // _ROWS))


def shapes_of(texts: pa.StringArray, most_bytes: int) -> pa.StringArray:
    """Return texts with 9 for every digit; those of more than `most_bytes` bytes stay as they are."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1] if len(texts) else np.zeros(1, np.int32)
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]] if offsets[-1] > offsets[0] else np.zeros(0, np.uint8)
    shaped = pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets - offsets[0]), pa.py_buffer(_DIGITS_AS_NINE[data]))
    sizes = np.diff(offsets)
    return shaped if not len(sizes) or int(sizes.max()) <= most_bytes else pc.if_else(pa.array(sizes <= most_bytes), shaped, texts)


def _explain_all(texts: pa.StringArray, explain: Explainer, most: int, *, by_shape: bool) -> Sequence[tuple[Indices | int, str]]:
    """Return reasons, each with the numbers of the texts that it is for."""
    if not by_shape:
        return _explain_each(texts, np.arange(min(len(texts), most)), explain)
    encoded = pc.dictionary_encode(shapes_of(texts, _MAX_SHAPE_BYTES))
    shapes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(shapes, kind="stable")
    ends = np.cumsum(np.bincount(shapes))
    groups = sorted(np.split(order, ends[:-1]), key=len, reverse=True) if len(ends) <= most else np.split(order, ends[:most])[:-1]
    found: list[tuple[Indices, str]] = []
    left = most
    for group in groups:
        if left <= 0:
            break
        examples = group if len(group) <= _EXAMPLES else group[:: len(group) // _EXAMPLES][:_EXAMPLES]
        left -= len(examples)
        reasons = [explain(text) for text in texts.take(pa.array(examples)).to_pylist()]
        common = _agree(reasons)
        if common is not None:
            found.append((group, common))
            continue
        if len(examples) < len(group):
            examples, left = group[: max(0, left)], left - len(group)
        found += _explain_each(texts, examples, explain)
    return found


def _explain_each(texts: pa.StringArray, numbers: Indices, explain: Explainer) -> list[tuple[Indices, str]]:
    reasons = zip(numbers, (explain(text) for text in texts.take(pa.array(numbers)).to_pylist()), strict=True)
    return [(np.array([number]), reason) for number, reason in reasons if reason is not None]


def _agree(reasons: Sequence[str | None]) -> str | None:
    """Return the one reason of all texts; one that leaves two orders open agrees with one that has decided for either. None: there is no such one."""
    different = set(reasons)
    decided = {reason for reason in different if reason is None or OR not in reason}
    if len(decided) == 1 and None not in decided:
        (one,) = decided
        assert one is not None
        order, _, rest = one.partition(" here; ")
        open_ones = [reason for reason in different if reason is not None and reason != one]
        if all(reason.endswith(rest) and order.removeprefix("it is written ") in reason for reason in open_ones):
            return one
        return None
    return different.pop() if len(different) == 1 else None
