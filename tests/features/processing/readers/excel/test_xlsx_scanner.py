"""Rows read by pattern are the same as those that expat gives, wherever one hands over to the other, and whatever is broken."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.row_order import Batch, RowBatch
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_rows import SheetFacts, SheetRow
from features.processing.readers.excel.xlsx import cell_columns, scanner
from features.processing.readers.excel.xlsx.cells import LETTERS, CellValues
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


def make_rows(chooser: random.Random, *, count: int, unusual: float, in_order: bool = False) -> str:
    rows = []
    number = 0
    for _ in range(count):
        number = max(1, number + chooser.choice([1, 1, 1, 1, 4, *([] if in_order else [0, -2])]))
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


@pytest.fixture(params=[2**20, 500])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "_PIECE_BYTES", request.param)


Found = tuple[list[SheetRow], SheetFacts, str | None]


def gather(batches: Iterable[Batch], facts: SheetFacts) -> Found:
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
    sheet = SheetScanner(values, max_row_bytes=2**20)
    sheet.width = width
    return gather(sheet.scan(cut(data, block_bytes)), values.facts)


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


GOOD = [cell for cell in CELLS if "#" not in cell and "2026-11" not in cell and "/v>" in cell and "<v></v>" not in cell and "<v xml" not in cell]
"""Cells that need no step of their own."""


def test_good_rows_are_all_found_by_scans_of_the_whole_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = random.Random(8)
    rows = []
    for number in range(1, 3000):
        cells = [chooser.choice(GOOD).replace("{}", f"{letter}{number}").replace("{number}", str(chooser.randrange(10, 99))) for letter in "ABCDE"]
        rows.append(f'<row r="{number}" spans="1:5">{"".join(cells)}</row>')
    data = make_sheet("".join(rows))
    expected = by_expat(data, width=5)
    monkeypatch.setattr(SheetScanner, "_read_rows", lambda *_: pytest.fail("a row was read by pattern"))
    values = make_values()
    sheet = SheetScanner(values, max_row_bytes=2**20)
    batches = list(sheet.scan(cut(data, 2**16)))
    assert len(batches) > 1
    assert all(isinstance(batch, SheetGrid) for batch in batches)
    assert gather(batches, values.facts) == expected


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_usual_rows_are_those_that_expat_gives(seed: int, in_order: bool) -> None:
    rows = make_rows(random.Random(seed), count=60, unusual=0, in_order=in_order)
    data = make_sheet(rows, after='<mergeCells><mergeCell ref="A1:B2"/></mergeCells>')
    for is_recalculated in (False, True):
        found = by_pattern(data, width=1 + seed % 5, is_recalculated=is_recalculated)
        assert found == by_expat(data, width=1 + seed % 5, is_recalculated=is_recalculated)
        assert found[1].merged_count == 1


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 7, 100, 65536])
@pytest.mark.parametrize("seed", range(5))
def test_expat_goes_on_at_the_row_where_the_pattern_ends(seed: int, block_bytes: int, in_order: bool) -> None:
    data = make_sheet(make_rows(random.Random(seed), count=60, unusual=0.01, in_order=in_order))
    assert by_pattern(data, width=3, block_bytes=block_bytes) == by_expat(data, width=3)


@pytest.mark.parametrize("in_order", [False, True])
def test_broken_sheet_ends_like_with_expat(in_order: bool) -> None:
    chooser = random.Random(5)
    data = make_sheet(make_rows(chooser, count=12, unusual=0.02, in_order=in_order))
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


@pytest.mark.parametrize("said", ['encoding="ISO-8859-1"', 'encoding = "ISO-8859-1"', "encoding\n='latin1'"])
def test_text_of_another_encoding_is_not_taken_for_utf8(said: str) -> None:
    data = f'<?xml version="1.0" {said}?><worksheet><sheetData><row r="1"><c r="A1" t="str"><v>Ã©</v></c></row></sheetData></worksheet>'.encode("latin-1")
    assert by_pattern(data, width=3) == by_expat(data, width=3)
    assert by_pattern(data, width=3)[0][0].cells == ["Ã©"]
    strings = f'<?xml version="1.0" {said}?><sst><si><t>Ã©</t></si></sst>'.encode("latin-1")
    assert read_shared_strings([strings], spill_dir=None, threshold_bytes=2**20).texts[0] == "Ã©"


NUMBERS = [
    *("0", "-0", "00", "07", "-07", "0.5", "-0.5", ".5", "-.5", "5.", "1.50", "1.0", "-1.5", "100", "1..2", "1.2.3", "1-2", "-", "--5", "+5", ".", "-."),
    *("123456789012345", "-123456789012345", "1234567890123456", "0.123456789012345", "0.1234567890123456", "0.00001", "-0.00001", "99999999999999.5"),
    "1234567.12345678",
    *("123456789.1234567", "1e5", "1E-7", "1_0", " 5", "5 ", "0x1", "1,5", "\uff11", "\u00b2", "inf", "nan", "1/2", ":", "0.30000000000000004"),
]


@pytest.mark.parametrize("cell_type", ["", ' t="n"', ' s="1"', ' s="2" t="n"', ' s="9"', ' t="s"', ' t="b"', ' t="str"'])
def test_numbers_of_any_form_are_those_that_expat_gives(cell_type: str) -> None:
    chooser = random.Random(3)
    values = [*NUMBERS, *(f"{chooser.choice(['', '-'])}{chooser.random() * 10 ** chooser.randrange(-6, 16):.{chooser.randrange(12)}f}" for _ in range(500))]
    if cell_type == ' t="s"':
        values = [value for value in values if value in ("0", "-0", "00", "1")] + ["1"]
    rows = "".join(f'<row r="{number}"><c r="A{number}"{cell_type}><v>{value}</v></c></row>' for number, value in enumerate(values, 1))
    assert by_pattern(make_sheet(rows), width=1) == by_expat(make_sheet(rows), width=1)


TEXTS = [
    "a",
    " a",
    "a ",
    "\ta\n",
    "&amp;",
    "a&lt;b",
    "&amp;lt;",
    "_x000D_",
    "_x005F_x000D_",
    "_x",
    "é",
    "\ufffd",
    "😀",
    " ",
    "\n",
    "]]",
    "a_x0041_&gt;",
    "\u00a0",
    "x" * 5000,
]


@pytest.mark.parametrize(
    "form",
    ['<c r="{}" t="str"><v>{text}</v></c>', '<c r="{}" t="inlineStr"><is><t>{text}</t></is></c>', '<c r="{}"><is><t xml:space="preserve">{text}</t></is></c>'],
)
def test_texts_of_any_form_are_those_that_expat_gives(form: str) -> None:
    texts = [*TEXTS, *(first + second for first in TEXTS for second in TEXTS)]
    rows = "".join(f'<row r="{number}">{form.replace("{}", f"A{number}").replace("{text}", text)}</row>' for number, text in enumerate(texts, 1))
    assert by_pattern(make_sheet(rows), width=1) == by_expat(make_sheet(rows), width=1)


@pytest.mark.parametrize("threshold_bytes", [2**20, 0])
def test_long_shared_strings_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch, threshold_bytes: int) -> None:
    monkeypatch.setattr(cell_columns, "_MOST_TEXT_BYTES", 500)
    texts = [f"<t>{'é' * (number % 100)}{number}</t>" for number in range(1, 200)]
    chooser = random.Random(6)
    rows = ""
    for number in range(1, 400):
        unusual = chooser.choice(["", ' vm="1"'])
        rows += f'<row r="{number}"><c r="A{number}" t="s"><v>{chooser.randrange(199)}</v></c><c r="B{number}"{unusual}><v>1</v></c></row>'
    found = []
    for read in (SheetScanner, SheetWalker):
        strings = read_shared_strings([strings_xml(*texts).encode()], spill_dir=None, threshold_bytes=threshold_bytes)
        values = CellValues(strings=strings.texts, formats=FORMATS, is_1904=False)
        sheet = read(values, max_row_bytes=2**20)
        blocks = cut(make_sheet(rows), 2**16)
        batches = list(sheet.scan(blocks) if isinstance(sheet, SheetScanner) else sheet.walk(blocks))
        found.append(gather(batches, values.facts))
        strings.close()
    assert found[0] == found[1]
    assert len(found[0][0]) == 399


@pytest.mark.parametrize("odd", ["", ' vm="1"', " x=''"])
@pytest.mark.parametrize("threshold_bytes", [2**20, 0])
def test_longest_shared_strings_are_shared_and_never_copied(threshold_bytes: int, odd: str) -> None:
    texts = [*(f"<t>{number}</t>" for number in range(100)), f"<t>{'é' * 250_000}</t>", "<t>last</t>"]
    cells = "".join(f'<c r="{letters}{{0}}" t="s"><v>100</v></c>' for letters in LETTERS)
    rows = "".join(f'<row r="{number}">{cells.format(number)}<c r="A{number}"{odd}><v>1</v></c></row>' for number in (1, 2))
    rows += "".join(f'<row r="{number}"><c r="A{number}" t="s"><v>{number % 102}</v></c><c r="B{number}"{odd}><v>1</v></c></row>' for number in range(3, 3000))
    strings = read_shared_strings([strings_xml(*texts).encode()], spill_dir=None, threshold_bytes=threshold_bytes)
    sheet = SheetScanner(CellValues(strings=strings.texts, formats=FORMATS, is_1904=False), max_row_bytes=2**20)
    sheet.width = len(LETTERS)
    for batch in sheet.scan(cut(make_sheet(rows), 2**16)):
        assert not isinstance(batch, SheetGrid) or batch.texts.nbytes < 2**25
        long = {id(text) for row in batch.rows for text in row.cells if len(text) > 1000}
        assert len(long) <= (1 if isinstance(batch, RowBatch) else len(batch))
    strings.close()


@pytest.mark.parametrize("odd", ["", ' vm="1"', " x=''"])
def test_rows_with_cells_far_from_each_other_take_little_memory(odd: str) -> None:
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c><c r="XFD{number}"{odd}><v>2</v></c></row>' for number in range(1, 3000))
    sheet = SheetScanner(make_values(), max_row_bytes=2**20)
    sheet.width = len(LETTERS)
    count = 0
    for batch in sheet.scan(cut(make_sheet(rows), 2**16)):
        count += len(batch)
        places = batch.types.size if isinstance(batch, SheetGrid) else sum(len(row.cells) for row in batch.rows)
        assert places <= 2**20
        assert [(cell.column, cell.text) for cell in batch.rows[-1].beyond or ()] == [(16_383, "2")] or batch.rows[-1].cells[16_383] == "2"
    assert count == 2999
