"""Rules for XML that is read by pattern, which is faster than expat: what text may hold there, and what must be left to expat."""

from __future__ import annotations

import re

FORBIDDEN = r"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"
"""Characters that XML forbids, for use in a set of a pattern."""
TEXT_CHARACTER = f"[^<{FORBIDDEN}]"
"""A pattern for one character of a text; entities are judged by `decode_plain`."""
PRESERVE = ' xml:space="preserve"'
_ENCODING = re.compile(rb"<\?xml[^>]*encoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]+)[\"']")
_CLOSING_BRACKETS = b"]]>"
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_ENTITY = re.compile(rb"&(?:lt|gt|quot|apos|amp);")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))


class UnusualError(Exception):
    """This piece of XML must be left to expat."""


def is_utf8(head: bytes) -> bool:
    """Whether the part that begins with `head` is in UTF-8, by what it says of itself."""
    encoding = _ENCODING.search(head)
    return encoding is None or encoding[1].lower() == b"utf-8"


def decode_plain(data: bytes) -> tuple[str, bool]:
    """Return the text of `data`, and whether there are entities in it, which are then among the five of XML.

    Raises `UnusualError` for other entities, for bytes that are no UTF-8, and for what expat would change or refuse in a text.
    """
    # Single characters are found faster than words.
    if b"\r" in data or (b"]" in data and _CLOSING_BRACKETS in data):
        raise UnusualError
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UnusualError from error
    has_entities = "&" in text
    if has_entities and text.count("&") != sum(text.count(entity) for entity, _ in _ENTITIES):
        raise UnusualError
    return text, has_entities


def is_plain(data: bytes) -> bool:
    """Whether `decode_plain` takes `data`, and it has no characters that XML forbids, other than control characters."""
    if b"\r" in data or (b"]" in data and _CLOSING_BRACKETS in data):
        return False
    if b"&" in data and len(_ENTITY.findall(data)) != data.count(b"&"):
        return False
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return _NO_CHARACTERS[0][:1] not in data or not any(mark in data for mark in _NO_CHARACTERS)


def replace_entities(text: str) -> str:
    """Replace the five entities of XML."""
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    return text
