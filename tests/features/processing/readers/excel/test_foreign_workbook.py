"""Files called .xls or .xlsx that are no workbooks, each called what it is, with the way out."""

from __future__ import annotations

import random

import pytest

from features.processing.readers.excel.foreign_workbook import describe_foreign
from features.processing.readers.excel.xls.format import OLE2

HEAD_BYTES = 512
SPREADSHEET = (
    b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"\n'
    b' xmlns:o="urn:schemas-microsoft-com:office:office">'
)


@pytest.mark.parametrize(
    ("head", "says", "way_out"),
    [
        (b"<html>\n<body><table>", "a web page (HTML)", "save it as .xlsx"),
        (b"\xef\xbb\xbf \r\n <HTML xmlns:x='urn:schemas-microsoft-com:office:excel'><head>", "a web page (HTML)", "save it as .xlsx"),
        (b"<table border=1><tr><td>a</td></tr>", "a web page (HTML)", "save it as .xlsx"),
        ("<html><body>".encode("utf-16"), "a web page (HTML)", "save it as .xlsx"),
        (b"<font size=2><b>Report", "a web page or an XML document", "save it as .xlsx"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\n", "a web page in one file (MHT)", "save it as .xlsx"),
        (b"From: <Saved by x>\nSubject: =?utf-8?x?=\n more\nDate: now\nMIME-Version: 1.0\n", "a web page in one file (MHT)", "save it as .xlsx"),
        (b"\xef\xbb\xbfmime-version: 1.0\n", "a web page in one file (MHT)", "save it as .xlsx"),
        (SPREADSHEET, "a spreadsheet in XML (SpreadsheetML 2003)", "save it as .xlsx"),
        (b'<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">', "a spreadsheet in XML (SpreadsheetML 2003)", "save it as .xlsx"),
        (b"\xef\xbb\xbf" + SPREADSHEET, "a spreadsheet in XML (SpreadsheetML 2003)", "save it as .xlsx"),
        (b"ID;PWXL;N;E\nP;PGeneral\n", "a table in the exchange format SYLK", "save it as .xlsx"),
        (b"<?xml version='1.0'?>\n<rows><row/></rows>", "an XML document", "Export the table"),
        (b"a\tb\tc\n1\t2\t3\n", "tab-separated text", "ending .csv"),
        ("id\tname\n1\tÄnn\n".encode("utf-16"), "tab-separated text", "ending .csv"),
        ("id\tname\n1\tÄnn\n".encode("utf-16-le"), "tab-separated text", "ending .csv"),
        (b"a,b;c,d\n1,2\n", "comma-separated text", "ending .csv"),
        ("größe;preis\n1;2\n".encode("cp1252"), "text separated by semicolons", "ending .csv"),
        (b"a|b\n", "text separated by vertical bars", "ending .csv"),
        (b"name\nAnn\nBob\n", "plain text", "ending .csv"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document", "Export the table"),
        (b'[{"id": 1}]', "JSON", "Export the table"),
        (b"{\\rtf1\\ansi", "a document (RTF)", "Export the table"),
        (b"\x1f\x8b\x08\x00", "a gzip archive", "Export the table"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image", "Export the table"),
    ],
)
def test_what_is_no_workbook_is_named_with_the_way_out(head: bytes, says: str, way_out: str) -> None:
    sentence = describe_foreign(head[:HEAD_BYTES])
    assert sentence is not None
    assert sentence.startswith(f"This is {says} and not an Excel workbook. ")
    assert way_out in sentence


@pytest.mark.parametrize(
    "head", [b"", b"  \n", bytes(100), OLE2 + bytes(500), b"PK\x05\x06" + bytes(18), bytes(range(256)), b"\x09\x08\x10\x00\x00\x06\x05\x00"]
)
def test_what_may_be_a_workbook_that_is_damaged_is_not_named(head: bytes) -> None:
    assert describe_foreign(head) is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("alphabet", ["a:\n", "From:\n ", "<>a \n", "ID;P", "\t,;|\n", "MIME-Version:\n"])
def test_no_beginning_takes_long(alphabet: str) -> None:
    """A pattern that is not linear takes minutes for some of these."""
    chance = random.Random(alphabet)
    for _ in range(50):
        describe_foreign("".join(chance.choices(alphabet, k=HEAD_BYTES)).encode())
    describe_foreign((alphabet * HEAD_BYTES)[:HEAD_BYTES].encode())
