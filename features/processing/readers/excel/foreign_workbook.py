"""Say what a file is that is called .xls or .xlsx and is no workbook, though Excel may open it: a web page, text, an older exchange format."""

from __future__ import annotations

import re

from features.processing.readers.foreign_files import BINARY_FILE, WEB_ARCHIVE, WEB_PAGE, XML_SPREADSHEET, decode_beginning, name_foreign

_EXCEL_OPENS = "Open it in Excel, save it as .xlsx and upload that."
_RENAME = "Give it the ending .csv, or open it in Excel and save it as .xlsx."
_EXPORT = "Export the table as .xlsx or .csv and upload that."
_WAYS_OUT = {
    WEB_PAGE: f"{_EXCEL_OPENS} If it shows no table there, perhaps the session had expired when it was downloaded.",
    WEB_ARCHIVE: _EXCEL_OPENS,
    XML_SPREADSHEET: _EXCEL_OPENS,
}
_SYLK = re.compile(r"ID;P")
_MARKUP = re.compile(r"<[A-Za-z!?/]")
_SEPARATORS = (("\t", "tab-separated text"), (";", "text separated by semicolons"), (",", "comma-separated text"), ("|", "text separated by vertical bars"))
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v\x1a")


def describe_foreign(head: bytes) -> str | None:
    """Return a sentence that says what a file with these first bytes is, which no workbook begins with; None if that cannot be told."""
    named = name_foreign(head)
    if named == BINARY_FILE:
        # It may be a workbook whose beginning is damaged.
        return None
    what, way_out = (named, _WAYS_OUT.get(named, _EXPORT)) if named is not None else _name_text(decode_beginning(head))
    return None if what is None else f"This is {what} and not an Excel workbook. {way_out}"


def _name_text(text: str) -> tuple[str | None, str]:
    """Name what a text is that other programs may read as a table, and the way out."""
    if _SYLK.match(text):
        return "a table in the exchange format SYLK", _EXCEL_OPENS
    if _MARKUP.match(text):
        return "a web page or an XML document", _EXCEL_OPENS
    return _name_table(text), _RENAME


def _name_table(text: str) -> str | None:
    """Name the kind of a table as text; None if it is empty or no text at all."""
    if not text or any(character < " " and character not in _ALLOWED_CONTROLS for character in text):
        return None
    line = text.split("\n", 1)[0]
    separator, name = max(_SEPARATORS, key=lambda known: line.count(known[0]))
    return name if separator in line else "plain text"
