"""Which encodings a file may be said to have: upload asks, processing uses."""

from __future__ import annotations

import codecs

_NOT_FOR_FILES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Encodings of text that no table is written in; some of them cannot be decoded piece by piece."""


def normalize_encoding(name: str) -> str | None:
    """Python's own name of a text encoding (`latin-1` → `iso8859-1`); None where there is none of that name for files."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    normal = codec.name.replace("_", "-")
    # Codecs such as hex and zlib turn bytes into bytes; only this attribute tells them apart.
    return normal if codec._is_text_encoding and normal not in _NOT_FOR_FILES else None  # noqa: SLF001
