"""Read shared strings by pattern, as long as they are plain texts written the way all programs write them; takes a third of the time of expat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from features.processing.readers.excel.xlsx.part_parser import XML_BLANKS
from features.processing.readers.excel.xlsx.plain_xml import PRESERVE, TEXT_CHARACTER, UnusualError, decode_plain, is_utf8, replace_entities

_HEAD = re.compile(rb"""(?:\xef\xbb\xbf)?(?:<\?xml[^<>]*\?>)?[ \t\r\n]*<sst(?:[ \t\r\n]+[A-Za-z_][A-Za-z0-9_.:-]*="[^"<&]*")*[ \t\r\n]*>""")
_ITEM = f"<si><t(?:{PRESERVE})?+>{TEXT_CHARACTER}*+</t></si>"
_ITEMS = re.compile(f"(?:{_ITEM})*+")
_TEXT = re.compile(f"<t({PRESERVE})?+>({TEXT_CHARACTER}*+)")
_ITEM_END = b"</si>"
_MAX_WAITING_BYTES = 2**20
_MAX_TEXT_CHARS = 2**17
"""Longer texts are left to expat, and to those who refuse them."""


def take_plain_strings(blocks: Iterable[bytes], add: Callable[[Sequence[str]], None]) -> Iterator[bytes]:
    """Pass the plain texts at the beginning of a part with shared strings to `add`, and yield the part without them."""
    source = iter(blocks)
    waiting = next(source, b"")
    head = _HEAD.match(waiting)
    if head is not None and is_utf8(head[0]) and b"xml:space" not in head[0]:
        yield head[0]
        waiting = waiting[head.end() :]
        while (end := waiting.rfind(_ITEM_END)) >= 0 or (len(waiting) < _MAX_WAITING_BYTES and b"</" not in waiting[:2]):
            if end < 0:
                block = next(source, b"")
                if not block:
                    break
                waiting += block
                continue
            end += len(_ITEM_END)
            try:
                add(_read_texts(waiting[:end]))
            except UnusualError:
                break
            waiting = waiting[end:]
    if waiting:
        yield waiting
    yield from source


def _read_texts(data: bytes) -> list[str]:
    """Return the texts of whole items. Raises `UnusualError` if any of them must be left to expat."""
    xml, has_entities = decode_plain(data)
    if _ITEMS.fullmatch(xml) is None:
        raise UnusualError
    texts = [text if preserve else text.strip(XML_BLANKS) for preserve, text in _TEXT.findall(xml)]
    if has_entities:
        # Blanks cannot be written as one of the five entities, so they are gone already.
        texts = [replace_entities(text) for text in texts]
    if max(map(len, texts), default=0) > _MAX_TEXT_CHARS:
        raise UnusualError
    return texts
