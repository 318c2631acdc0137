"""The rests of start tags are recognised for what they are, however many there are and however alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.xlsx import cell_tags
from features.processing.readers.excel.xlsx.cell_tags import CellTags, TagKind


def recognise(tags: CellTags, rests: Sequence[bytes]) -> list[TagKind | None]:
    """Return the kind of each rest; None for those that are left to the pattern."""
    data = b"<" + b"<".join(rests) + bytes(32)
    begins = np.cumsum([1, *(len(rest) + 1 for rest in rests)])[:-1]
    words = np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))
    found = tags.recognise(words, begins, np.array([len(rest) for rest in rests]))
    return [None if number < 0 else TagKind(tags.kinds[number]) for number in found.tolist()]


def make_tags() -> CellTags:
    return CellTags({"7": NumberFormat(FormatKind.DATE), None: NumberFormat(FormatKind.TIME)})


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        (b' s="1">', TagKind.NUMBER),
        (b' s="7">', TagKind.FORMATTED),
        (b">", TagKind.FORMATTED),
        (b' t="n">', TagKind.FORMATTED),
        (b' s="1" t="s">', TagKind.SHARED),
        (b' t="s">', TagKind.SHARED),
        (b' t="b">', TagKind.BOOLEAN),
        (b' t="str">', TagKind.TEXT),
        (b' s="123" t="inlineStr">', TagKind.TEXT),
        (b' s="7"/>', TagKind.EMPTY),
        (b" />", TagKind.EMPTY),
        (b' t="e">', TagKind.ODD),
        (b' t="d">', TagKind.ODD),
        (b' t="s" s="1">', TagKind.ODD),
        (b' vm="1">', TagKind.ODD),
        (b"  />", TagKind.ODD),
        (b">x", TagKind.ODD),
        (b"", TagKind.ODD),
        (b' s="7" t="inlineStr" vm="1">', None),
    ],
)
def test_kind_of_a_tag(rest: bytes, kind: TagKind | None) -> None:
    assert recognise(make_tags(), [rest, b">", rest]) == [kind, TagKind.FORMATTED, kind]


def test_rest_with_other_bytes_after_it_is_the_same() -> None:
    tags = make_tags()
    assert recognise(tags, [b">"]) == recognise(tags, [b">", b' s="1">'])[:1]


def test_many_tags_are_told_apart() -> None:
    tags = make_tags()
    rests = [b' s="%d"%s>' % (style, suffix) for style in range(1000) for suffix in (b"", b' t="s"', b' t="b"', b"/")]
    expected = [TagKind.NUMBER, TagKind.SHARED, TagKind.BOOLEAN, TagKind.EMPTY] * 1000
    expected[28] = TagKind.FORMATTED
    for _ in range(2):
        found = recognise(tags, rests)
        # Those whose place is taken by another are left to the pattern.
        assert sum(kind is None for kind in found) < len(rests) / 20
        assert all(kind in (None, wanted) for kind, wanted in zip(found, expected, strict=True))


def test_more_tags_than_are_kept_are_left_to_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_tags, "_MOST_TAGS", 3)
    assert recognise(make_tags(), [b' s="%d">' % style for style in range(5)]) == [TagKind.NUMBER] * 3 + [None] * 2
