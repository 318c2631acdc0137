"""Sheets of any form that XML allows have the cells that a slow reader, written from the specification, finds in them: by pattern, by expat, by openpyxl."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.row_order import Batch
from features.processing.readers.excel.sheet_rows import CellTrouble
from features.processing.readers.excel.xlsx.cells import LETTERS, CellValues
from features.processing.readers.excel.xlsx.openpyxl_rows import OpenpyxlRows
from features.processing.readers.excel.xlsx.scanner import SheetScanner
from features.processing.readers.excel.xlsx.strings import read_shared_strings
from features.processing.readers.excel.xlsx.walker import SheetWalker
from features.processing.readers.native_types import NativeType
from tests.features.processing.readers.excel.sheet_oracle import MAINS, Oracle, strings_of

FORMATS: dict[str | None, NumberFormat] = {
    "1": NumberFormat(FormatKind.DATE),
    "2": NumberFormat(FormatKind.DATETIME),
    "3": NumberFormat(FormatKind.TIME),
    "4": NumberFormat(FormatKind.ZEROS, digits=5),
}
STYLES = {1: "date", 2: "datetime", 3: "time", 4: "00000"}
Cells = dict[tuple[int, int], tuple[str, str]]


def gather(batches: Iterable[Batch]) -> Cells:
    found: Cells = {}
    for batch in batches:
        for row in batch.rows:
            assert len(row.cells) == len(row.types)
            found.update(
                {(row.number, column): (text, NativeType(kind).name) for column, (text, kind) in enumerate(zip(row.cells, row.types, strict=True)) if text}
            )
            found.update({(row.number, cell.column): (cell.text, NativeType(cell.native_type).name) for cell in row.beyond or () if cell.text})
            found.update({(row.number, cell.column): (cell.text, CellTrouble(cell.trouble).name) for cell in row.bad or ()})
    return found


def by_pattern(values: CellValues, blocks: Iterable[bytes]) -> Iterator[Batch]:
    return SheetScanner(values, max_row_bytes=2**20).scan(blocks)


def by_expat(values: CellValues, blocks: Iterable[bytes]) -> Iterator[Batch]:
    return SheetWalker(values, max_row_bytes=2**20).walk(blocks)


def by_openpyxl(values: CellValues, blocks: Iterable[bytes]) -> Iterator[Batch]:
    return OpenpyxlRows(values).scan(blocks)


# Parts of a sheet. Elements are written as `<NAME`, so that a prefix can be put in.
TEXTS = st.text(st.sampled_from("aZ09 \t\n._-xäß€😀\u00a0\u3000"), max_size=6)
BLANK_TEXTS = st.sampled_from([" a", "a ", "  ", "\ta\n", "_x000D_", "_x0041_ ", "_x005F_x000D_", "a_x000D_\nb", ""])
SPACES = st.sampled_from(["", "", ' xml:space="preserve"', ' xml:space="default"'])
NUMBERS = st.one_of(
    st.integers(-(10**19), 10**19).map(str),
    st.integers(0, 10**6).map(str),
    st.floats(-1e18, 1e18).map(repr),
    st.floats(0, 60_000).map(lambda value: f"{value:.17g}"),
    st.integers(0, 2_958_470).map(lambda day: f"{day}.999999999999"),
    st.sampled_from(
        [
            "0",
            "-0",
            "0.0",
            "1E3",
            "1e-7",
            "1.50",
            "007",
            "5e-324",
            "434.99999999999994",
            "41551.9999999998",
            "1.7976931348623157E308",
            " 5 ",
            "abc",
            "2958465.9999999",
        ]
    ),
)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


@st.composite
def xml_texts(draw: st.DrawFn, *, is_odd: bool) -> str:
    """Draw a text in one of the ways that XML has of writing it."""
    text = draw(st.one_of(TEXTS, BLANK_TEXTS))
    way = draw(st.sampled_from(["plain", "plain", "entities", *(["references", "CDATA", "comment"] if is_odd else [])]))
    if way == "references":
        return "".join(f"&#{ord(character)};" for character in text)
    if way == "CDATA":
        return f"<![CDATA[{text}]]>"
    if way == "comment":
        return f"<!-- <v>1</v></row> -->{escape(text)}"
    return escape(text) + ("&amp;&lt;&gt;&quot;&apos;" if way == "entities" else "")


@st.composite
def string_items(draw: st.DrawFn, *, is_odd: bool) -> str:
    """Draw the content of `si` or `is`: plain or, if it is odd, rich, with phonetic readings and foreign elements."""
    if not is_odd or draw(st.booleans()):
        item = f"<~t{draw(SPACES)}>{draw(xml_texts(is_odd=is_odd))}</~t>"
        if not is_odd:
            return item
    else:
        runs = draw(st.lists(st.tuples(SPACES, SPACES, xml_texts(is_odd=True)), min_size=1, max_size=3))
        item = "".join(f"<~r{outer}><~rPr><~b/></~rPr><~t{inner}>{text}</~t></~r>" for outer, inner, text in runs)
    return item + draw(
        st.sampled_from(["", "", '<~rPh sb="0" eb="1"><~t>reading</~t></~rPh><~phoneticPr fontId="1"/>', "<o:t>other</o:t><o:r><~t>x</~t></o:r>"])
    )


@st.composite
def contents(draw: st.DrawFn, *, is_odd: bool) -> tuple[dict[str, str], str]:  # noqa: PLR0911 - one for each kind of cell
    """Draw the attributes and the content of a cell, without its reference."""
    kind = draw(st.sampled_from(["number", "number", "shared", "shared", "text", "inline", "boolean", "error", "empty"]))
    style = draw(st.sampled_from([None, None, "0", "1", "2", "3", "4"]))
    attributes = {} if style is None else {"s": style}
    if kind == "inline":
        item = draw(string_items(is_odd=is_odd))
        return attributes | {"t": "inlineStr"}, f"<~is>{item}</~is>"
    formula = draw(st.sampled_from(["", "", "", "<~f>A1&amp;B1</~f>", '<~f t="shared" si="0"/>', '<~f t="shared" ref="A1:A2" si="0">1+1</~f>']))
    if kind == "empty":
        value = draw(st.sampled_from(["", "<~v/>", "<~v></~v>", "<~v />"]))
        kinds = draw(st.sampled_from([{}, {"t": "n"}, {"t": "str"}, {"t": "b"}, {"t": "e"}]))
        return attributes | kinds, formula + value
    if kind == "number":
        return attributes | draw(st.sampled_from([{}, {"t": "n"}])), f"{formula}<~v>{draw(NUMBERS)}</~v>"
    if kind == "shared":
        return attributes | {"t": "s"}, f"{formula}<~v>{draw(st.integers(0, 3))}</~v>"
    if kind == "boolean":
        return attributes | {"t": "b"}, f"{formula}<~v>{draw(st.sampled_from('01'))}</~v>"
    if kind == "error":
        return attributes | {"t": "e"}, f"{formula}<~v>{draw(st.sampled_from(['#N/A', '#DIV/0!', '#SPILL!']))}</~v>"
    return attributes | {"t": "str"}, f"{formula}<~v{draw(SPACES)}>{draw(xml_texts(is_odd=is_odd))}</~v>"


@st.composite
def sheets(draw: st.DrawFn, *, is_odd: bool) -> str:
    """Draw a whole sheet: a usual one, as most programs write it, or an odd one."""
    numbers = draw(st.lists(st.integers(1, 9), max_size=5)) if is_odd else sorted(draw(st.sets(st.integers(1, 60), max_size=5)))
    used: set[tuple[int, int]] = set()
    rows: list[str] = []
    last_row = 0
    for number in numbers:
        has_number = not is_odd or draw(st.booleans())
        last_row = number if has_number else last_row + 1
        column = -1
        cells: list[str] = []
        for _ in range(draw(st.integers(0, 5))):
            step = draw(st.sampled_from([1, 1, 1, 2, 300]))
            has_reference = step != 1 or not is_odd or draw(st.booleans())
            column += step
            if (last_row, column) in used or column >= 16_384:
                break
            used.add((last_row, column))
            attributes, content = draw(contents(is_odd=is_odd))
            given = ({"r": f"{LETTERS[column]}{last_row}"} if has_reference else {}) | attributes
            names = draw(st.permutations(sorted(given))) if is_odd else [name for name in ("r", "s", "t") if name in given]
            quote = draw(st.sampled_from("\"'")) if is_odd else '"'
            written = "".join(f" {name}={quote}{given[name]}{quote}" for name in names) + (draw(SPACES) if is_odd else "")
            cells.append(f"<~c{written}>{content}</~c>" if content else f"<~c{written}/>")
        foreign = draw(st.sampled_from(["", "<o:c><~v>9</~v></o:c>", "<!-- </row> -->", "\n  "])) if is_odd else ""
        rows.append(f"<~row{f' r={chr(34)}{number}{chr(34)}' if has_number else ''}{draw(SPACES) if is_odd else ''}>{foreign}{''.join(cells)}</~row>")
    body = f"<~sheetData>{''.join(rows)}</~sheetData>"
    if is_odd:
        body = draw(st.sampled_from(["", "<o:sheetData><~row><~c><~v>1</~v></~c></~row></o:sheetData>", "<~extLst><o:ext/></~extLst>"])) + body
    return f"<~worksheet{draw(SPACES) if is_odd else ''}>{body}</~worksheet>"


def with_names(template: str, main: str, prefixes: list[str], choose: Callable[[], str]) -> str:
    """Write the elements of a template with prefixes of the main namespace; an end tag has the prefix of its start."""
    pieces = template.split("<")
    written = [pieces[0]]
    is_open: list[str] = []
    is_root = True
    for piece in pieces[1:]:
        if piece.startswith("/~"):
            written.append(f"/{is_open.pop()}{piece[2:]}")
        elif piece.startswith("~"):
            prefix = choose()
            tag, _, rest = piece[1:].partition(">")
            if not tag.endswith("/"):
                is_open.append(prefix)
            if is_root:
                tag += "".join(f' xmlns{":" + each[:-1] if each else ""}="{main}"' for each in dict.fromkeys(prefixes)) + ' xmlns:o="urn:other"'
                is_root = False
            written.append(f"{prefix}{tag}>{rest}")
        else:
            written.append(piece)
    return "<".join(written)


@st.composite
def workbooks(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a sheet and a part with four shared strings."""
    is_odd = draw(st.booleans())
    main = draw(st.sampled_from([MAINS[0], MAINS[0], MAINS[1]]))
    prefixes = draw(st.sampled_from([[""], ["x:"], ["", "x:"], ["a:", "b:"]])) if is_odd else [""]
    odd = draw(st.sampled_from([[True] * 4, [False] * 4, [False, False, True, False]]))
    items = "".join(f"<~si{draw(SPACES) if each else ''}>{draw(string_items(is_odd=each))}</~si>" for each in odd)
    choose = lambda: draw(st.sampled_from(prefixes))  # noqa: E731 - drawn anew for each element
    return with_names(draw(sheets(is_odd=is_odd)), main, prefixes, choose), with_names(f"<~sst>{items}</~sst>", main, prefixes, choose)


def read(reader: Callable[[CellValues, Iterable[bytes]], Iterator[Batch]], sheet: str, strings: str, block_bytes: int) -> Cells:
    texts = read_shared_strings(cut(strings, block_bytes), spill_dir=None, threshold_bytes=2**20).texts
    return gather(reader(CellValues(strings=texts, formats=FORMATS, is_1904=False), cut(sheet, block_bytes)))


def cut(part: str, block_bytes: int) -> Iterator[bytes]:
    data = part.encode()
    return (data[at : at + block_bytes] for at in range(0, len(data), block_bytes))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(workbooks(), st.sampled_from([7, 100, 2**16]))
def test_sheet_of_any_form_has_the_cells_that_the_specification_says(parts: tuple[str, str], block_bytes: int) -> None:
    sheet, strings = parts
    expected = Oracle(strings_of(strings), STYLES).cells(sheet)
    assert read(by_pattern, sheet, strings, block_bytes) == expected
    assert read(by_expat, sheet, strings, block_bytes) == expected


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(workbooks())
def test_openpyxls_parser_gives_the_same(parts: tuple[str, str]) -> None:
    sheet, strings = parts
    expected = Oracle(strings_of(strings), STYLES).cells(without_outer_space(sheet))
    assert read(by_openpyxl, without_outer_space(sheet), strings, 2**16) == expected


def without_outer_space(sheet: str) -> str:
    """Remove `xml:space` from rows, since openpyxl shows each cell without its row, and rows that are in no sheet."""
    sheet = re.sub("<o:sheetData>.*?</o:sheetData>", "", sheet)
    pieces: list[Any] = sheet.split("<")
    for place, piece in enumerate(pieces):
        tag, separator, rest = piece.partition(">")
        if tag.partition(" ")[0].rpartition(":")[2] in ("row", "sheetData"):
            pieces[place] = tag.replace(' xml:space="preserve"', "").replace(' xml:space="default"', "") + separator + rest
    return "<".join(pieces)
