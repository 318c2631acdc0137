"""Shared strings that are read by pattern are those that expat gives, wherever one hands over to the other, and whatever is broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import pytest

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx import strings as xlsx_strings
from features.processing.readers.excel.xlsx.part_parser import PartParser
from features.processing.readers.excel.xlsx.strings import read_shared_strings
from tests.features.processing.readers.excel.workbooks import strings_xml

PLAIN = ["<t>a</t>", "<t></t>", "<t> a&amp;lt;\n</t>", '<t xml:space="preserve"> ü😀 </t>', "<t>_x000D_a_x0041_</t>", "<t>a &lt; b &gt; &quot;c&quot;</t>"]
UNUSUAL = [
    "<t/>",
    "<r><t>x</t></r>",
    "<t>&#228;</t>",
    "<t>a\r\nb</t>",
    "<t><![CDATA[</si>]]></t>",
    "<!-- <si> --><t>x</t>",
    "<t>a</t><rPh sb='0' eb='1'><t>b</t></rPh>",
    "",
]


BREAKS = [b"", b"<", b">", b"&", b"\xff", b"\x01", b"]]>", b"</si>", b"<si>", b"<t>", b" ", b"\r", b"/"]


def read(part: bytes, block_bytes: int) -> tuple[list[str], str | None]:
    try:
        table = read_shared_strings((part[at : at + block_bytes] for at in range(0, len(part), block_bytes)), spill_dir=None, threshold_bytes=2**20)
    except FileUnreadable as unreadable:
        return [], str(unreadable)
    return list(table.texts), None  # type: ignore[call-overload] # a list below the threshold


def by_expat(monkeypatch: pytest.MonkeyPatch, part: bytes) -> tuple[list[str], str | None]:
    def pass_on(blocks: Iterable[bytes], _: Callable[..., None]) -> Iterator[bytes]:
        yield from blocks

    with monkeypatch.context() as patch:
        patch.setattr(xlsx_strings, "take_plain_strings", pass_on)
        return read(part, 2**16)


def test_plain_strings_are_read_without_expat(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = 0
    feed = PartParser.feed

    def count(parser: PartParser, block: bytes) -> None:
        nonlocal fed
        fed += len(block)
        feed(parser, block)

    monkeypatch.setattr(PartParser, "feed", count)
    part = strings_xml(*PLAIN * 1000).encode()
    texts, _ = read(part, 2**16)
    assert len(texts) == 6000
    assert fed < 300


@pytest.mark.parametrize("seed", range(30))
def test_strings_are_those_that_expat_gives(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chooser = random.Random(seed)
    items = [chooser.choice(UNUSUAL if chooser.random() < 0.03 else PLAIN) for _ in range(60)]
    part = strings_xml(*items).encode()
    for block_bytes in (1, 7, 100, 2**16):
        assert read(part, block_bytes) == by_expat(monkeypatch, part)


@pytest.mark.parametrize(
    "head",
    [
        "<sst>",
        "<x:sst xmlns:x='u'>",
        '<sst xml:space="preserve">',
        '<?xml version="1.0" encoding="latin-1"?><sst>',
        "<!-- <sst> --><sst>",
        '<sst a="<sst>">',
        "<sst a:b='1'>",
        "<html>",
    ],
)
def test_head_of_any_kind_leads_to_the_same_strings(monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    part = f"{head}<si><t> a </t></si><si><t>b</t></si></{head.rpartition('<')[2].split()[0].rstrip('>')}>".encode()
    assert read(part, 2**16) == by_expat(monkeypatch, part)


def test_broken_strings_end_like_with_expat(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = random.Random(3)
    part = strings_xml(*(chooser.choice(PLAIN) for _ in range(20))).encode()
    endings = set()
    for _ in range(1000):
        broken = bytearray(part)
        at = chooser.randrange(60, len(broken))
        broken[at : at + chooser.choice([0, 0, 1, 5])] = chooser.choice(
            [b"", b"<", b">", b"&", b"\xff", b"\x01", b"]]>", b"</si>", b"<si>", b"<t>", b" ", b"\r", b"/"]
        )
        found = read(bytes(broken), 50)
        assert found == by_expat(monkeypatch, bytes(broken)), bytes(broken)
        endings.add(found[1])
    assert len(endings) > 1
