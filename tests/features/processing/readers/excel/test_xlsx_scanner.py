"""Rows read by pattern are the same as those that expat gives, wherever one hands over to the other, and whatever is broken."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.row_order import RowBatch
from features.processing.readers.excel.sheet_rows import SheetFacts, SheetRow
from features.processing.readers.excel.xlsx.cells import CellValues
from features.processing.readers.excel.xlsx.scanner import SheetScanner
from features.processing.readers.excel.xlsx.strings import read_shared_strings
from features.processing.readers.excel.xlsx.walker import SheetWalker
from tests.features.processing.readers.excel.workbooks import sheet_xml, strings_xml

FORMATS: dict[str | None, NumberFormat] = {"1": NumberFormat(FormatKind.DATE), "2": NumberFormat(FormatKind.DATETIME)}
CELLS = [
    '<c r="{}"/>',
    '<c r="{}" s="1" />',
    '<c r="{}"><v>{number}</v></c>',
    '<c r="{}" t="n"><v>-{number}.50</v></c>',
    '<c r="{}"><v>1E-{number}</v></c>',
    '<c r="{}"><v/></c>',
    '<c r="{}" s="1"><v>4{number}</v></c>',
    '<c r="{}" s="2" t="n"><v>45000.{number}</v></c>',
    '<c r="{}" s="1" t="d"><v>2026-11-23T00:00:00</v></c>',
    '<c r="{}" t="s"><v>1</v></c>',
    '<c r="{}" s="3" t="s"><v>0</v></c>',
    '<c r="{}" t="b"><v>1</v></c>',
    '<c r="{}" t="e"><v>#N/A</v></c>',
    '<c r="{}" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
    '<c r="{}" t="str"><f t="shared" ref="A1:B2" si="0">"a"&amp;"b"</f><v>a&lt;b&amp;lt;</v></c>',
    '<c r="{}"><f t="shared" si="0"/><v>{number}</v></c>',
    '<c r="{}"><f>A1+1</f><v>0</v></c>',
    '<c r="{}" s="1"><f>TODAY()</f><v>0</v></c>',
    '<c r="{}"><f>A1&amp;"&lt;b"</f></c>',
    '<c r="{}" t="str"><f>A1</f><v></v></c>',
    '<c r="{}" t="str"><f>A1</f><v/></c>',
    '<c r="{}" t="str"><f>A1</f></c>',
    '<c r="{}"><f x14ac:x="1">{number}</f><v /></c>',
    '<c r="{}" t="str"><v> ab </v></c>',
    '<c r="{}" t="str"><f>A1</f><v xml:space="preserve"> ab </v></c>',
    '<c r="{}" t="inlineStr"><is><t> ab\n</t></is></c>',
    '<c r="{}" t="inlineStr"><is><t></t></is></c>',
    '<c r="{}"><v>1234567890123456{number}</v></c>',
    '<c r="{}" t="inlineStr"><is><t>Ü 😀 ></t></is></c>',
    '<c r="{}" t="inlineStr"><is><t xml:space="preserve"> a_x000D_\nb </t></is></c>',
]
UNUSUAL = [
    '<c r="{}" xml:space="preserve" t="str"><v> a </v></c>',
    "<c><v>{number}</v></c>",
    '<c r="{}" t="inlineStr"><is><r><t>rich</t></r></is></c>',
    '<c r="{}" t="str"><v>&#228;</v></c>',
    '<c r="{}" t="str"><v><![CDATA[</row>]]></v></c>',
    '<!-- </row><row r="1"> --><c r="{}" t="s"><v>0</v></c>',
    '<c t="str" r="{}"><v>x</v></c>',
    '<c r="{}" t="str"><v>x\r\ny</v></c>',
    "<c r='{}'><v>1</v></c>",
    '\n  <c r="{}">\n  <v>1</v>\n  </c>',
    "<?x </row>?>",
    '<c r="{}" vm="1" t="e"><v>#VALUE!</v></c>',
    '<c r="{}"><x:v xmlns:x="urn:x">1</x:v></c>',
    '<c r="{}" t="inlineStr"><is><t/></is></c>',
]


def make_rows(chooser: random.Random, *, count: int, unusual: float) -> str:
    rows = []
    number = 0
    for _ in range(count):
        number = max(1, number + chooser.choice([1, 1, 1, 1, 4, 0, -2]))
        cells = []
        for column in range(chooser.randrange(6)):
            cell = chooser.choice(UNUSUAL if chooser.random() < unusual else CELLS)
            cells.append(cell.replace("{}", f"{'ABCDEFGH'[column + (chooser.random() < 0.1)]}{number}").replace("{number}", str(chooser.randrange(10, 99))))
        attributes = chooser.choice(["", ' spans="1:5" x14ac:dyDescent="0.25"', ' s="1" customFormat="1"'])
        rows.append(f'<row r="{number}"{attributes}/>' if not cells else f'<row r="{number}"{attributes}>{"".join(cells)}</row>')
    return "".join(rows)


def make_sheet(rows: str, *, after: str = "") -> bytes:
    return sheet_xml(rows, header="", after=after).replace("<worksheet ", '<worksheet xmlns:x14ac="urn:x14ac" ', 1).encode()


def make_values(*, is_recalculated: bool = False) -> CellValues:
    strings = read_shared_strings([strings_xml("<t>zero</t>", "<t>o&amp;ne</t>").encode()], spill_dir=None, threshold_bytes=2**20)
    return CellValues(strings=strings.texts, formats=FORMATS, is_1904=False, is_recalculated=is_recalculated)


def cut(data: bytes, size_bytes: int) -> Iterator[bytes]:
    return (data[at : at + size_bytes] for at in range(0, len(data), size_bytes))


Found = tuple[list[SheetRow], SheetFacts, str | None]


def gather(batches: Iterable[RowBatch], facts: SheetFacts) -> Found:
    """Return the rows, what was learned of the sheet, and the message of the error that ended it, if any."""
    rows: list[SheetRow] = []
    try:
        for batch in batches:
            rows += batch.rows
    except FileUnreadable as unreadable:
        return rows, facts, str(unreadable)
    return rows, facts, None


def by_pattern(data: bytes, *, width: int, block_bytes: int = 2**16, is_recalculated: bool = False) -> Found:
    values = make_values(is_recalculated=is_recalculated)
    scanner = SheetScanner(values, max_row_bytes=2**20)
    scanner.width = width
    return gather(scanner.scan(cut(data, block_bytes)), values.facts)


def by_expat(data: bytes, *, width: int, is_recalculated: bool = False) -> Found:
    values = make_values(is_recalculated=is_recalculated)
    walker = SheetWalker(values, max_row_bytes=2**20)
    walker.width = width
    return gather(walker.walk([data]), values.facts)


@pytest.fixture
def expat_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Iterator[RowBatch]:
        raise AssertionError

    monkeypatch.setattr(SheetWalker, "walk", refuse)


@pytest.mark.usefixtures("expat_is_not_needed")
def test_usual_sheet_is_read_without_expat() -> None:
    rows, _, error = by_pattern(make_sheet(make_rows(random.Random(1), count=300, unusual=0)), width=3)
    assert error is None
    assert len(rows) > 200


@pytest.mark.parametrize("seed", range(20))
def test_usual_rows_are_those_that_expat_gives(seed: int) -> None:
    data = make_sheet(make_rows(random.Random(seed), count=60, unusual=0), after='<mergeCells><mergeCell ref="A1:B2"/></mergeCells>')
    for is_recalculated in (False, True):
        found = by_pattern(data, width=1 + seed % 5, is_recalculated=is_recalculated)
        assert found == by_expat(data, width=1 + seed % 5, is_recalculated=is_recalculated)
        assert found[1].merged_count == 1


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 65536])
@pytest.mark.parametrize("seed", range(5))
def test_expat_goes_on_at_the_row_where_the_pattern_ends(seed: int, block_bytes: int) -> None:
    data = make_sheet(make_rows(random.Random(seed), count=60, unusual=0.01))
    assert by_pattern(data, width=3, block_bytes=block_bytes) == by_expat(data, width=3)


def test_broken_sheet_ends_like_with_expat() -> None:
    chooser = random.Random(5)
    data = make_sheet(make_rows(chooser, count=12, unusual=0.02))
    start = data.index(b"<sheetData>")
    endings = set()
    for _ in range(1500):
        broken = bytearray(data)
        for _ in range(chooser.choice([1, 1, 2])):
            at = chooser.randrange(start, len(broken))
            size = chooser.choice([0, 0, 1, 1, 5, 40])
            broken[at : at + size] = chooser.choice(
                [b"", b"<", b">", b'"', b"&", b"\xff", b"\x01", b"\xef\xbf\xbe", b"0", b"-1", b"</row>", b"<v>", b"]]>", b"<c>", b"&amp;", b" ", b"/"]
            )
        found = by_pattern(bytes(broken), width=3, block_bytes=100)
        assert found == by_expat(bytes(broken), width=3), bytes(broken)
        endings.add(found[2])
    assert len(endings) > 3


@pytest.mark.parametrize(
    "head",
    [
        '<?xml version="1.0"?><worksheet>',
        "\ufeff<worksheet>",
        "<x:worksheet>",
        '<x:worksheet xmlns:x="urn:x">',
        '<x:worksheet xmlns:x="urn:x" xmlns="urn:x">',
        '<worksheet xmlns="urn:x" xml:space="preserve">',
        "<worksheet><!-- <sheetData> -->",
        "<worksheet><?x <sheetData>?>",
        "<worksheet><cols><sheetData>",
        "<html>",
    ],
)
def test_head_of_any_kind_leads_to_the_same_rows(head: str) -> None:
    prefix = "x:" if "x:" in head else ""
    rows = f'<{prefix}sheetData><{prefix}row r="1"><{prefix}c r="A1"><{prefix}v>1</{prefix}v></{prefix}c></{prefix}row></{prefix}sheetData>'
    data = f"{head}{rows}</{head.rpartition('<')[2].partition('>')[0]}>".encode()
    assert by_pattern(data, width=3) == by_expat(data, width=3)
