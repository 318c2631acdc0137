"""Describe exceptions without what they say, which may quote the contents of a file."""

from __future__ import annotations

import traceback


def describe_frames(error: BaseException) -> str:
    """Describe where an exception and its causes came from: types, files, lines and source code, without messages, which may quote a file's contents.

    The operating system's messages (`No space left on device`) quote nothing and are kept.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        reason = f": {current.strerror}" if isinstance(current, OSError) and current.errno is not None else ""
        parts.insert(0, f"{frames}{type(current).__module__}.{type(current).__qualname__}{reason}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nthen\n".join(parts)
