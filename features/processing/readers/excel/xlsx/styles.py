"""Read the number formats of cell styles from the part `styles.xml`; nothing else in it is needed. Source: ECMA-376 part 1, 18.8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import parse_number
from features.processing.readers.excel.number_formats import GENERAL, NumberFormat, built_in_format, parse_format
from features.processing.readers.excel.xlsx.package import DAMAGED
from features.processing.readers.excel.xlsx.part_parser import local_name, visit_elements

_MAX_STYLES = 2**17
"""Twice what Excel allows."""
_MAX_FORMAT_CHARS = 1_000


def read_styles(blocks: Iterable[bytes]) -> dict[str | None, NumberFormat]:
    """Return the cell styles that do not show plain numbers, by style number as in the XML; None stands for cells without a style.

    Formats of conditional formatting (`dxfs`) and in extensions do not count: they number their formats anew. Raises `FileUnreadable`.
    """
    codes: dict[int, str] = {}
    format_numbers: list[int] = []

    def visit(path: str, attributes: Mapping[str, str]) -> None:
        if path == "cellXfs/xf":
            format_numbers.append(_read_number(attributes.get("numFmtId", "0")))
        elif path == "numFmts/numFmt":
            codes.setdefault(_read_number(attributes.get("numFmtId", "0")), attributes.get("formatCode", "")[:_MAX_FORMAT_CHARS])
        else:
            return
        if len(format_numbers) > _MAX_STYLES or len(codes) > _MAX_STYLES:
            raise FileUnreadable(DAMAGED)

    visit_elements(blocks, _check_root, visit)
    by_number = {number: parse_format(codes[number]) if number in codes else built_in_format(number) for number in set(format_numbers)}
    formats: dict[str | None, NumberFormat] = {str(style): shown for style, number in enumerate(format_numbers) if (shown := by_number[number]) != GENERAL}
    if "0" in formats:
        formats[None] = formats["0"]
    return formats


def _check_root(root: str) -> None:
    if local_name(root) != "styleSheet":
        raise FileUnreadable(DAMAGED)


def _read_number(text: str) -> int:
    value = parse_number(text)
    return value if isinstance(value, int) else 0
