"""Find UTF-16 and UTF-32 that have no byte order mark."""

from __future__ import annotations

import unicodedata
from collections import Counter

_MIN_BYTES = 4
_MOSTLY = 0.7
_HARDLY = 0.1
_JUDGED_CHARACTERS = 2000
_ODD_SHARE = 0.02
_PLAIN_SHARE = 0.5
_BREAKS = frozenset("\t\r\n")
_PLAIN_BYTES = frozenset(b"\t\r\n" + bytes(range(0x20, 0x7F)))


def detect_wide_encoding(head: bytes) -> str | None:
    """Return `utf-16-le`, `utf-16-be`, `utf-32-le` or `utf-32-be`; None if the bytes look like none of them.

    Text that is mostly ASCII has a NUL as every other byte. Of other text at least the line breaks have one, on the side that tells the byte order;
    and nearly all characters must be assigned ones, which two letters of another encoding seldom make.
    """
    if b"\0" not in head or len(head) < _MIN_BYTES:
        return None
    for encoding in ("utf-32-le", "utf-32-be"):
        if _is_utf32(head, encoding):
            return encoding
    even, odd = _share_of_nul(head[0::2]), _share_of_nul(head[1::2])
    if odd > _MOSTLY and even < _HARDLY:
        return "utf-16-le"
    if even > _MOSTLY and odd < _HARDLY:
        return "utf-16-be"
    breaks = {encoding: _count_breaks(head, encoding) for encoding in ("utf-16-le", "utf-16-be")}
    likely = max(breaks, key=lambda encoding: breaks[encoding])
    return likely if breaks[likely] and _is_text(head, likely) else None


def _is_utf32(head: bytes, encoding: str) -> bool:
    """Whether all of it are characters; of four arbitrary bytes one in four thousand is one."""
    try:
        text = head[: len(head) // 4 * 4].decode(encoding)
    except UnicodeDecodeError:
        return False
    return text.count("\0") <= len(text) * _ODD_SHARE


def _share_of_nul(half: bytes) -> float:
    return half.count(0) / max(1, len(half))


def _decode(head: bytes, encoding: str) -> str:
    return head[: len(head) // 2 * 2].decode(encoding, "replace")


def _count_breaks(head: bytes, encoding: str) -> int:
    """Return how many line breaks the text has, if that is at least half of those that its bytes would have in any other encoding; else 0."""
    text = _decode(head, encoding)
    count = text.count("\n") or text.count("\r")
    others = head.count(b"\n") or head.count(b"\r")
    return count if count * 2 >= others else 0


def _is_text(head: bytes, encoding: str) -> bool:
    counts = Counter(_decode(head, encoding)[:_JUDGED_CHARACTERS])
    total = counts.total()
    # A surrogate without its other half, or half of one at the end of the head.
    odd = sum(count for character, count in counts.items() if character not in _BREAKS and unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs"))
    # Two ASCII characters of another encoding make one Chinese character here.
    plain = sum(count for character, count in counts.items() if _is_two_plain_bytes(ord(character)))
    return (odd + counts["\ufffd"]) <= total * _ODD_SHARE + 1 and plain <= total * _PLAIN_SHARE


def _is_two_plain_bytes(code: int) -> bool:
    return all(byte in _PLAIN_BYTES for byte in divmod(code, 256))
