"""Damaged or malicious workbooks: each gives its rows, or a sentence for the person who uploaded it."""

from __future__ import annotations

import io
import random
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.xlsx import scanner as xlsx_scanner
from features.processing.readers.excel.xlsx.table import open_xlsx
from tests.features.processing.readers.excel.workbooks import (
    CONTENT_TYPES,
    MAIN,
    PACKAGE_RELS,
    WORKBOOK,
    WORKBOOK_RELS,
    Reading,
    read_xlsx,
    sheet_xml,
    strings_xml,
    styles_xml,
    write_package,
)

pytestmark = pytest.mark.slow

ROW_2 = '<row r="2"><c r="A2"><v>1</v></c><c r="B2"><v>2</v></c></row>'
GOOD = sheet_xml(ROW_2)
DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def with_doctype(text: str) -> str:
    return text.replace("?>\n", f"?>\n{DOCTYPE}", 1)


def zipped(change: Callable[[zipfile.ZipFile], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write_package(path, sheet=GOOD)
        with zipfile.ZipFile(path, "a") as archive:
            change(archive)

    return make


def parts(**changed: str | bytes | None) -> Callable[[Path], None]:
    names = {
        "types": "[Content_Types].xml",
        "workbook": "xl/workbook.xml",
        "rels": "xl/_rels/workbook.xml.rels",
        "styles": "xl/styles.xml",
        "strings": "xl/sharedStrings.xml",
        "sheet": "xl/worksheets/sheet1.xml",
        "package": "_rels/.rels",
    }
    return lambda path: (write_package(path, {"xl/worksheets/sheet1.xml": GOOD} | {names[key]: value for key, value in changed.items()}), None)[1]


def patched(change: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        data = bytearray(write_package(path, sheet=GOOD).read_bytes())
        change(data)
        path.write_bytes(data)

    return make


def set_directory(data: bytearray, offset: int, layout: str, value: int) -> None:
    """Overwrite a value in the ZIP directory's entry for the sheet."""
    entry = data.index(b"PK\x01\x02", data.rindex(b"PK\x03\x04"))
    entry = max(match.start() for match in re.finditer(b"PK\x01\x02", bytes(data)))
    struct.pack_into(layout, data, entry + offset, value)


def sheets(rows: str, **options: str) -> Callable[[Path], None]:
    return parts(sheet=sheet_xml(rows, **options))


def duplicate(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("xl/workbook.xml", WORKBOOK)


def many_parts(archive: zipfile.ZipFile) -> None:
    for number in range(20_001):
        archive.writestr(f"x{number}", b"")


def other_archive(**files: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name.replace("__", "/"), text)

    return make


def office(part: str, xml: str) -> Callable[[Path], None]:
    """Make a package of another program of Office, whose main part is `part`."""
    return other_archive(**{"_rels/.rels": PACKAGE_RELS.replace("xl/workbook.xml", part), "[Content_Types].xml": CONTENT_TYPES, part: xml})


DOCUMENT = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"/>'
SLIDES = '<p:presentation xmlns:p="http://purl.oclc.org/ooxml/presentationml/main"/>'
BOMB = b"<!--" + b" " * (64 * 2**20) + b"-->"

REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "an empty archive": (other_archive(), "not an Excel workbook"),
    "some archive": (other_archive(a="b"), "not an Excel workbook"),
    "an OpenDocument sheet": (other_archive(mimetype="application/vnd.oasis.opendocument.spreadsheet", content="x"), "OpenDocument"),
    "a Word document": (office("word/document.xml", DOCUMENT), "a Word document, not an Excel workbook"),
    "a Word document without relationships": (other_archive(**{"word/document.xml": DOCUMENT}), "a Word document, not an Excel workbook"),
    "a presentation": (office("ppt/presentation.xml", SLIDES), "a PowerPoint presentation, not an Excel workbook"),
    "a binary workbook": (office("xl/workbook.bin", "x"), "xlsb"),
    "a binary workbook without relationships": (other_archive(**{"xl/workbook.bin": "x"}), "xlsb"),
    "a document of Numbers": (other_archive(**{"Index/Document.iwa": "x"}), "Apple Numbers"),
    "broken relationships of the package": (parts(package="<Relationships"), "damaged"),
    "entities in the relationships of the package": (parts(package=with_doctype(PACKAGE_RELS)), "entities"),
    "no workbook part": (parts(workbook=None), "workbook.xml is missing"),
    "broken workbook part": (parts(workbook=WORKBOOK[:-20]), "damaged"),
    "workbook part is another XML": (parts(workbook="<html/>"), "not an Excel workbook"),
    "no relationships": (parts(rels=None), "missing"),
    "relationship to nowhere": (parts(rels=WORKBOOK_RELS.replace("sheet1.xml", "sheet9.xml")), "sheet9.xml is missing"),
    "sheet without a relationship": (parts(rels=WORKBOOK_RELS.replace('"rId1"', '"rId9"')), "damaged"),
    "no sheets": (parts(workbook=re.sub("<sheets>.*</sheets>", "<sheets/>", WORKBOOK)), "no sheets"),
    "no sheet part": (parts(sheet=None), "sheet1.xml is missing"),
    "empty sheet part": (parts(sheet=b" "), "damaged"),
    "sheet part is another XML": (parts(sheet="<html/>"), "no table"),
    "sheet part is no XML": (parts(sheet=b"\x00\x01\x02"), "damaged"),
    "entities in the workbook": (parts(workbook=with_doctype(WORKBOOK)), "entities"),
    "entities in the relationships": (parts(rels=with_doctype(WORKBOOK_RELS)), "entities"),
    "entities in the styles": (parts(styles=with_doctype(styles_xml())), "entities"),
    "entities in the strings": (parts(strings=with_doctype(strings_xml("<t>&b;</t>"))), "entities"),
    "entities in the sheet": (parts(sheet=with_doctype(GOOD)), "entities"),
    "entities in UTF-16": (parts(sheet=with_doctype(GOOD).replace("UTF-8", "UTF-16").encode("utf-16")), "entities"),
    "an outer entity": (parts(sheet=GOOD.replace("?>\n", '?>\n<!DOCTYPE x SYSTEM "file:///etc/passwd">', 1)), "entities"),
    "an entity that is not declared": (sheets('<row r="2"><c r="A2" t="str"><v>&b;</v></c></row>'), "damaged"),
    "a prologue without end": (parts(sheet=b"<?xml version='1.0'?>" + b" " * 2**21), "damaged"),
    "broken styles": (parts(styles="<styleSheet"), "damaged"),
    "broken strings": (parts(strings="<sst><si>"), "damaged"),
    "strings are another XML": (parts(strings="<html/>"), "damaged"),
    "a string that is longer than any cell": (parts(strings=strings_xml(f"<t>{'x' * 300_000}</t>")), "longer than a cell"),
    "nested strings": (parts(strings=strings_xml("<r>" * 100_000)), "damaged"),
    "nested elements in a cell": (sheets('<row r="2"><c r="A2">' + "<x>" * 100_000), "damaged"),
    "nested rows": (sheets('<row r="2">' + '<row r="3">'), "damaged"),
    "nested cells": (sheets('<row r="2">' + "<c>" * 2), "damaged"),
    "nested values": (sheets('<row r="2"><c r="A2">' + "<v>" * 2), "damaged"),
    "nested styles": (parts(styles=f'<styleSheet xmlns="{MAIN}">' + "<x>" * 100_000), "damaged"),
    "too many styles": (parts(styles=styles_xml(*[0] * 140_000)), "damaged"),
    "a huge attribute": (sheets(f'<row r="2" x="{"x" * 5_000_000}"/>'), "damaged"),
    "a huge comment": (sheets(f"<!--{'x' * 5_000_000}-->"), "damaged"),
    "a cell past the last column": (sheets('<row r="2"><c r="XFE2"><v>1</v></c></row>'), "XFE2"),
    "a cell with a wild reference": (sheets('<row r="2"><c r="AAAAAAA2"><v>1</v></c></row>'), "AAAAAAA2"),
    "a cell without a column": (sheets('<row r="2"><c r="2"><v>1</v></c></row>'), "damaged"),
    "more cells than columns": (sheets(f'<row r="2">{"<c/>" * 16_385}</row>'), "more than 16,384"),
    "a row past the last": (sheets('<row r="1048577"/>'), "1048577"),
    "row zero": (sheets('<row r="0"/>'), "damaged"),
    "a row that is no number": (sheets('<row r="x"/>'), "damaged"),
    "a row number without end": (sheets(f'<row r="{"9" * 10_000}"/>'), "damaged"),
    "no styles part": (parts(styles=None), "styles.xml is missing"),
    "no strings part": (parts(strings=None), "sharedStrings.xml is missing"),
    "two parts of one name in another case": (zipped(lambda archive: archive.writestr("XL\\Workbook.xml", WORKBOOK)), "two parts"),
    "a formula in a formula": (sheets('<row r="2"><c r="A2">' + "<f>" * 2), "damaged"),
    "too many sheets": (parts(workbook=WORKBOOK.replace("</sheets>", '<sheet name="x" r:id="rId1"/>' * 40_000 + "</sheets>")), "damaged"),
    "a prefix that is not declared": (sheets('<row r="2"><c r="A2"><v x:y="1">1</v></c></row>'), "damaged"),
    "a shared string that is not there": (sheets('<row r="2"><c r="A2" t="s"><v>7</v></c></row>'), "text of cell A2"),
    "a shared string before the first": (sheets('<row r="2"><c r="B2" t="s"><v>-1</v></c></row>'), "text of cell B2"),
    "a shared string without number": (sheets('<row r="2"><c r="A2" t="s"><v>x</v></c></row>'), "text of cell A2"),
    "not well-formed in the middle": (sheets(ROW_2 + '<row r="3"><c></row>'), "damaged"),
    "ends in the middle": (parts(sheet=GOOD[:-40]), "damaged"),
    "bytes that are no text": (parts(sheet=GOOD.replace("<v>1</v>", "<v>\udcff</v>").encode("utf-8", "surrogateescape")), "damaged"),
    "two parts of one name": (zipped(duplicate), "two parts"),
    "too many parts": (zipped(many_parts), "more than 20000 parts"),
    "a bomb in the sheet": (parts(sheet=GOOD.encode() + BOMB), "unpack to 64 MiB"),
    "a bomb in a part that is not read": (zipped(lambda archive: archive.writestr("x", BOMB, zipfile.ZIP_DEFLATED)), "unpack to 64 MiB"),
    "a workbook part of many megabytes": (parts(workbook=WORKBOOK + random.Random(1).randbytes(33 * 2**20).hex()), "larger than 64 MiB"),
    "relationships of many megabytes": (parts(rels=WORKBOOK_RELS + random.Random(1).randbytes(5_000_000).hex()), "larger than 8 MiB"),
    "a password on the parts": (patched(lambda data: set_directory(data, 8, "<H", 1)), "password"),
    "an unknown compression": (patched(lambda data: set_directory(data, 10, "<H", 99)), "damaged"),
    "LZMA": (zipped(lambda archive: archive.writestr("x", b"x", zipfile.ZIP_LZMA)), "damaged"),
    "a size that is a lie": (patched(lambda data: set_directory(data, 24, "<L", 100)), "damaged"),
    "a checksum that is wrong": (patched(lambda data: set_directory(data, 16, "<L", 7)), "damaged"),
    "a place outside of the file": (patched(lambda data: set_directory(data, 42, "<L", 2**31)), "damaged"),
    "compressed data that is none": (
        patched(
            lambda data: data.__setitem__(
                slice(data.rindex(b"sheet1.xml", 0, data.index(b"PK\x01\x02")) + 10, data.index(b"PK\x01\x02")),
                b"\xff" * (data.index(b"PK\x01\x02") - data.rindex(b"sheet1.xml", 0, data.index(b"PK\x01\x02")) - 10),
            )
        ),
        "damaged",
    ),
    "an end that was cut off": (patched(lambda data: data.__delitem__(slice(-30, None))), "not complete"),
    "half of the file": (patched(lambda data: data.__delitem__(slice(len(data) // 2, None))), "not complete"),
    "a directory of gigabytes": (patched(lambda data: struct.pack_into("<L", data, data.rindex(b"PK\x05\x06") + 12, 2**31)), "more than 20000 parts"),
    "a directory that is none": (patched(lambda data: data.__setitem__(slice(data.index(b"PK\x01\x02"), data.index(b"PK\x01\x02") + 4), b"XXXX")), "damaged"),
    "text": (lambda path: (path.write_text("a,b\n1,2\n"), None)[1], "not complete"),
    "nothing": (lambda path: (path.write_bytes(b""), None)[1], "not complete"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_workbook_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = REFUSED[name]
    path = tmp_path / "a.xlsx"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(FileUnreadable, match=re.escape(sentence)) as raised:
            read_xlsx(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(raised.value).endswith(".")
    assert peak_bytes < 80 * 2**20


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_workbook_breaks_openpyxls_reader_no_worse(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.xlsx"
    REFUSED[name][0](path)
    try:
        read_xlsx(path, excel_reader="openpyxl")
    except FileUnreadable as unreadable:
        assert str(unreadable).endswith(".")  # noqa: PT017 - the workbook may also be read without an error


def read_until_broken(path: Path, chunk_rows: int) -> tuple[Reading, str]:
    table = open_xlsx(path, dialect=None, limits=ReadLimits(chunk_rows=chunk_rows))
    reading = Reading(None, {}, [], 0, [])
    chunks = table.chunks()
    with pytest.raises(FileUnreadable) as raised:
        for chunk in chunks:
            reading.chunk_sizes.append(len(chunk.row_numbers))
    table.close()
    return reading, str(raised.value)


@pytest.mark.parametrize("chunk_rows", [7, 10_000])
def test_rows_before_the_damage_are_given_first(tmp_path: Path, chunk_rows: int) -> None:
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>{number}</v></c></row>' for number in range(2, 502))
    reading, message = read_until_broken(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows + "<row></c>")), chunk_rows)
    assert sum(reading.chunk_sizes) == 500
    assert "damaged" in message


ODD: dict[str, tuple[str, dict[int, list[str | None]]]] = {
    "a number that is none": ('<row r="2"><c r="A2"><v>abc</v></c><c r="B2"><v>1e999</v></c></row>', {2: ["abc", "1e999"]}),
    "a truth value that is none": ('<row r="2"><c r="A2" t="b"><v>maybe</v></c><c r="B2" t="b"><v>true</v></c></row>', {2: ["maybe", "true"]}),
    "a date that is none": ('<row r="2"><c r="A2" t="d"><v>tomorrow</v></c></row>', {2: ["tomorrow", ""]}),
    "a style that is not there": ('<row r="2"><c r="A2" s="99"><v>5</v></c></row>', {2: ["5", ""]}),
    "a type that is not there": ('<row r="2"><c r="A2" t="zz"><v>5</v></c></row>', {2: ["5", ""]}),
    "inline text that is a value": ('<row r="2"><c r="A2" t="inlineStr"><v>x</v></c></row>', {2: ["x", ""]}),
    "a cell twice": ('<row r="2"><c r="A2"><v>1</v></c><c r="A2"><v>2</v></c></row>', {2: ["2", ""]}),
    "CDATA and comments": ('<row r="2"><!-- </row> --><c r="A2" t="str"><v><![CDATA[<v>]]>&lt;</v></c></row>', {2: ["<v><", ""]}),
    "foreign elements": ('<row r="2"><x/><c r="A2"><extLst><ext uri="x"/></extLst><v>1</v></c></row>', {2: ["1", ""]}),
    "small references": ('<row r="2"><c r="$b$2"><v>1</v></c></row>', {2: ["", "1"]}),
    "white space around a number": ('<row r="2"><c r="A2"><v> 5 </v></c></row>', {2: ["5", ""]}),
    "a huge number": (f'<row r="2"><c r="A2"><v>{"9" * 5000}</v></c></row>', {2: ["9" * 5000, ""]}),
}


@pytest.mark.parametrize("use_patterns", [True, False])
@pytest.mark.parametrize("name", ODD)
def test_odd_cells_are_shown_and_left_to_the_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, use_patterns: bool) -> None:
    if not use_patterns:
        monkeypatch.setattr(xlsx_scanner, "_find_prefixes", lambda _: None)
    rows, expected = ODD[name]
    assert read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows))).rows == expected


def test_damage_behind_the_rows_does_not_matter(tmp_path: Path) -> None:
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(ROW_2, after="<mergeCells><v><v></c></mergeCells>"))
    assert list(read_xlsx(path).rows) == [2]


def test_million_styled_empty_rows_cost_next_to_nothing(tmp_path: Path) -> None:
    rows = io.StringIO()
    for number in range(3, 1_000_003):
        rows.write(f'<row r="{number}" s="1" customFormat="1"><c r="A{number}" s="1"/></row>')
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(ROW_2 + rows.getvalue()))
    reading = read_xlsx(path)
    assert (list(reading.rows), reading.errors, reading.rows_lost) == ([2], [], 0)


def test_row_of_the_longest_cells_is_too_long_whatever_repeats(tmp_path: Path) -> None:
    cells = '<c t="s"><v>0</v></c>' * 16_384
    path = write_package(
        tmp_path / "a.xlsx",
        {"xl/sharedStrings.xml": strings_xml(f"<t>{'x' * 32_767}</t>")},
        sheet=sheet_xml(f'<row r="2">{cells}</row><row r="3"><c><v>1</v></c></row>'),
    )
    reading = read_xlsx(path)
    assert (list(reading.rows), reading.errors) == ([3], [(2, None, "row-too-long", None)])


@pytest.mark.parametrize(
    "cell",
    ['<c t="str"><v>{}</v></c>', '<c t="inlineStr"><is><t>{}</t></is></c>', "<c><f>{}</f><v>1</v></c>", '<c t="inlineStr"><is><rPh><t>{}</t></rPh></is></c>'],
)
def test_text_without_end_is_never_held_as_a_whole(tmp_path: Path, cell: str) -> None:
    text = random.Random(1).randbytes(2**20).hex() * 16
    path = write_package(
        tmp_path / "a.xlsx", sheet=sheet_xml(f'<row r="2">{cell.format(text)}</row><row r="3"><c><v>1</v></c></row>'), compression=zipfile.ZIP_STORED
    )
    tracemalloc.start()
    try:
        reading = read_xlsx(path, max_row_bytes=2**20)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 3 in reading.rows
    assert peak_bytes < 12 * 2**20


def test_chunks_of_all_columns_have_few_rows(tmp_path: Path) -> None:
    cells = "".join(f'<c t="inlineStr"><is><t>c{column}</t></is></c>' for column in range(16_384))
    rows = "".join(f'<row r="{number}"><c r="XFD{number}"><v>1</v></c></row>' for number in range(2, 151))
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows, header=f'<row r="1">{cells}</row>'))
    table = open_xlsx(path, dialect=None, limits=ReadLimits())
    chunks = list(table.chunks())
    table.close()
    assert len(table.labels or ()) == 16_384
    assert sum(len(chunk.row_numbers) for chunk in chunks) == 149
    assert max(sum(column.nbytes for column in chunk.columns) for chunk in chunks) < 2 * ReadLimits().chunk_bytes


@pytest.mark.parametrize("types", [None, "<Types", "", with_doctype(CONTENT_TYPES), CONTENT_TYPES.replace("sheet.main", "document.main")])
def test_content_types_of_any_kind_change_nothing(tmp_path: Path, types: str | None) -> None:
    for package in (PACKAGE_RELS, None):
        path = write_package(tmp_path / "a.xlsx", {"[Content_Types].xml": types, "_rels/.rels": package}, sheet=GOOD)
        assert list(read_xlsx(path).rows) == [2]
