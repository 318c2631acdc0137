"""The errors that cells of XLS workbooks hold. Source: MS-XLS 2.5.10 (Bes)."""

from __future__ import annotations

_TEXTS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}


def error_text(code: int) -> str:
    """Return the text of an error by its code."""
    return _TEXTS.get(code, "#VALUE!")
