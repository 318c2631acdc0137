"""The encodings that may be given for a file; the upload slice validates the name, the processing slice uses it."""

from __future__ import annotations

import codecs
import encodings
import encodings.aliases
import pkgutil
from functools import cache

MAX_NAME_CHARACTERS = 64
"""No encoding has a longer name."""
_NOT_FOR_FILES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Text encodings in which no table is written; some of them cannot be decoded piece by piece."""


def normalize_encoding(name: str) -> str | None:
    """Return Python's own name of a text encoding (`latin-1` → `iso8859-1`); None if there is no such encoding for files."""
    plain = encodings.normalize_encoding(name[: MAX_NAME_CHARACTERS + 1]).lower()
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or plain not in _list_names():  # Python remembers every name that it was asked for
        return None
    try:
        codec = codecs.lookup(plain)
    except LookupError:
        return None
    normal = codec.name.replace("_", "-")
    # Codecs such as hex and zlib turn bytes into bytes; only this attribute tells them apart.
    return normal if codec._is_text_encoding and normal not in _NOT_FOR_FILES else None  # noqa: SLF001


@cache
def _list_names() -> frozenset[str]:
    """Return every name that Python knows an encoding by, with underscores."""
    aliases = encodings.aliases.aliases
    return frozenset({*aliases, *aliases.values(), *(module.name for module in pkgutil.iter_modules(encodings.__path__))} - {"aliases"})
