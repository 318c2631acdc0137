"""Cells as the XML of a sheet has them, after the attribute that names the cell.

Source: ECMA-376 part 1, 18.3.1.4 (c), 22.9.2.19 (ST_Xstring: `_xHHHH_` stands for a character).
"""

from __future__ import annotations

import re

from shared.texts import ELLIPSIS

MAX_UNITS = 32_767
"""The most characters that a cell can hold, counted in units of UTF-16."""

NO_CELL = ""
"""In place of a cell that is absent."""
_SAFE_CHARACTERS = MAX_UNITS // 2
# What XML cannot hold, and the carriage return, which XML readers change.
_FORBIDDEN = "\\x00-\\x08\\x0b-\\x1f\\ud800-\\udfff\\ufffe\\uffff"
_SPECIAL = re.compile(f"[&<>_{_FORBIDDEN}]")
_LIKE_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}[_{_FORBIDDEN}])")
_UNWRITABLE = re.compile(f"[{_FORBIDDEN}]")


def needs_cut(text: str) -> bool:
    """Whether a text is longer than a cell can be."""
    return len(text) > _SAFE_CHARACTERS and _count_units(text) > MAX_UNITS


def cut_text(text: str) -> str:
    """Return the beginning of a text that is longer than a cell can be, with an ellipsis at its end."""
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * (MAX_UNITS - 1)]
    # Half of a pair may be left at the end.
    return units.decode("utf-16-le", "ignore") + ELLIPSIS


def escape_text(text: str) -> str:
    """Return a text as XML content of which Excel, and our reader, make the same text again."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if "_x" in text:
        text = _LIKE_ESCAPE.sub("_x005F_", text)
    return _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def text_cell(text: str, style: str = "") -> str:
    """Return a cell of text, which is at most as long as a cell can be; `style` is ` s="1"` or nothing."""
    if _SPECIAL.search(text) is None and not text[:1].isspace() and not text[-1:].isspace():
        return f'{style} t="inlineStr"><is><t>{text}</t></is></c>'
    return f'{style} t="inlineStr"><is>{text_element(text)}</is></c>'


def text_element(text: str) -> str:
    """Return the element `t` of a text, which keeps blanks at its ends."""
    space = ' xml:space="preserve"' if text[:1].isspace() or text[-1:].isspace() else ""
    return f"<t{space}>{escape_text(text)}</t>"


def number_cell(number: str | int, style: str = "") -> str:
    """Return a cell with a number."""
    return f"{style}><v>{number}</v></c>"


def blank_cell(style: str) -> str:
    """Return a cell that has a look and no content."""
    return f"{style}/>"


def _count_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
