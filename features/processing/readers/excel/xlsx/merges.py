"""Read the merged ranges of a sheet, which stand behind its rows. Source: ECMA-376 part 1, 18.3.1.55, 18.3.1.99 (the order of the parts of a sheet)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from xml.parsers.expat import XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.sheet_rows import MergedRange, SheetFacts
from features.processing.readers.excel.xlsx.cells import find_column, find_row
from features.processing.readers.excel.xlsx.part_parser import Attributes, PartParser, prefix_of, skip_element

_RANGE = re.compile(r"(\$?[A-Z]{1,3}\$?([0-9]{1,7})):(\$?[A-Z]{1,3}\$?([0-9]{1,7}))", re.IGNORECASE | re.ASCII)
_AFTER_MERGES = frozenset({"phoneticPr", "conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins", "pageSetup", "headerFooter"})
_DATA, _DATA_END = b"<sheetData>", b"</sheetData>"
_MAX_HEAD_BYTES = 2**18


def install_merge_handlers(expat: XMLParserType, prefix: str, facts: SheetFacts, finish: Callable[[], None]) -> None:
    """Set handlers for what stands behind the rows of a sheet: they add the merged ranges to `facts`, and call `finish` after the last."""
    merges_tag, merge_tag = f"{prefix}mergeCells", f"{prefix}mergeCell"
    last_tags = frozenset(prefix + name for name in _AFTER_MERGES)
    is_in_merges = False

    def start(name: str, attributes: Attributes) -> None:
        nonlocal is_in_merges
        if name == merge_tag and is_in_merges:
            add_merge(facts, attributes.get("ref", ""))
        elif name == merges_tag and not is_in_merges:
            is_in_merges = True
        elif name in last_tags and not is_in_merges:
            stop()
        else:
            skip_element(expat)

    def end(name: str) -> None:
        if name == merges_tag:
            stop()

    def stop() -> None:
        expat.StartElementHandler = expat.EndElementHandler = expat.CharacterDataHandler = None
        finish()

    expat.StartElementHandler, expat.EndElementHandler, expat.CharacterDataHandler = start, end, None


def add_merge(facts: SheetFacts, reference: str) -> None:
    """Add the merged range `reference`, such as `A1:B2`, to `facts`; one that no sheet has is left out."""
    match = _RANGE.fullmatch(reference)
    if match is None or match[1] == match[3]:
        return
    try:
        rows = sorted(find_row(match[group], 0) for group in (2, 4))
        columns = sorted(find_column(match[group]) for group in (1, 3))
    except FileUnreadable:
        return
    facts.add_merge(MergedRange(rows[0], rows[1], columns[0], columns[1]))


def read_merges(open_part: Callable[[], Iterable[bytes]], facts: SheetFacts) -> None:
    """Read the merged ranges of a sheet without its rows. Damage ends the reading: whoever reads the rows meets it again.

    `open_part` gives the blocks of the sheet; it may be called twice.
    """
    try:
        try:
            _parse(_cut_out_rows(open_part()), facts)
        except _UnusualError:
            _parse(open_part(), facts)
    except FileUnreadable:
        return


def _parse(blocks: Iterable[bytes], facts: SheetFacts) -> None:
    is_done = False

    def finish() -> None:
        nonlocal is_done
        is_done = True

    parser = PartParser(lambda expat, root, _: install_merge_handlers(expat, prefix_of(root), facts, finish))
    for block in blocks:
        parser.feed(block)
        if is_done:
            return


class _UnusualError(Exception):
    """The end of the rows cannot be found by its bytes."""


def _cut_out_rows(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a sheet without its rows. Neither text nor attributes contain `<`, so their end is easily found, unless there are comments or CDATA."""
    source = iter(blocks)
    head = b""
    for block in source:
        head += block
        if _DATA in head or len(head) > _MAX_HEAD_BYTES:
            break
    start = head.find(_DATA)
    if start < 0 or b"<!" in head[:start]:
        raise _UnusualError
    rows = head[start + len(_DATA) :]
    while (end := rows.find(_DATA_END)) < 0:
        _check_rows(rows)
        block = next(source, b"")
        if not block:
            return
        rows = rows[-len(_DATA_END) :] + block
    _check_rows(rows[:end])
    yield head[: start + len(_DATA)]
    yield rows[end:]
    yield from source


def _check_rows(rows: bytes) -> None:
    if b"<!" in rows or b"<?" in rows:
        raise _UnusualError
