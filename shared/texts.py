"""Bounds on text that is stored, sent or logged: every such text that comes from outside is cut here, and long lists are named by their first entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_TEXT_CHARACTERS = 1000
"""The longest sentence, label, sheet name or part name that is stored or sent."""
MAX_SHOWN_CHARACTERS = 100
"""The longest text that is quoted within a sentence."""
SHOWN_ITEMS = 10
"""How many entries of a list a sentence names."""
ELLIPSIS = "…"


def shorten(text: str, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Return the text if it has at most `most` characters, else its beginning with an ellipsis, `most` characters in all."""
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def escape_unstorable(text: str) -> str:
    r"""Return the text with what no database takes as an escape: NUL as `\x00`, half a surrogate pair as `\udc81`."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def make_storable(text: str) -> str:
    """Return the text cut by `shorten` and escaped by `escape_unstorable`."""
    # Cut first, so that only a short text is escaped; the second cut removes the characters that the escapes added.
    return shorten(escape_unstorable(shorten(text)))


def quote_briefly(text: str) -> str:
    """Return the text as it is quoted within a sentence: at most 100 characters."""
    return shorten(text, MAX_SHOWN_CHARACTERS)


def list_briefly(items: Sequence[str], shown: int = SHOWN_ITEMS) -> str:
    """Return the first entries of a list, each at most 100 characters long, and how many more there are: `a, b, c and 7 more`."""
    listed = ", ".join(quote_briefly(item) for item in items[:shown])
    return f"{listed} and {len(items) - shown:,} more" if len(items) > shown else listed


def escape_control(text: str, *, kept: Iterable[str] = ()) -> str:
    r"""Return the text with every character that is not printable written as an escape (`\x1b`, `\n`), so that it cannot control a terminal.

    Those in `kept`, such as line breaks, stay as they are.
    """
    if text.isprintable():
        return text
    unchanged = frozenset(kept)
    return "".join(character if character.isprintable() or character in unchanged else ascii(character)[1:-1] for character in text)
