"""The encodings that may be given for a file; the upload slice validates the name, the processing slice uses it."""

from __future__ import annotations

import codecs

_NOT_FOR_FILES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Text encodings in which no table is written; some of them cannot be decoded piece by piece."""


def normalize_encoding(name: str) -> str | None:
    """Return Python's own name of a text encoding (`latin-1` → `iso8859-1`); None if there is no such encoding for files."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    normal = codec.name.replace("_", "-")
    # Codecs such as hex and zlib turn bytes into bytes; only this attribute tells them apart.
    return normal if codec._is_text_encoding and normal not in _NOT_FOR_FILES else None  # noqa: SLF001
