"""Convert names, messages and cells to the form that is stored and displayed: NUL escaped, long texts cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.texts import MAX_TEXT_CHARACTERS, make_storable


def show_name(name: str | None) -> str | None:
    r"""Return the name of a column as in records and counts: NUL as `\x00`, at most 1,000 characters."""
    return None if name is None else make_storable(name)


def show_message(message: str) -> str:
    r"""Return a message as in records: NUL as `\x00`, at most 1,000 characters."""
    return make_storable(message)


def show_messages(messages: pa.StringArray) -> pa.StringArray:
    """Return messages as in records; see `show_message`. If nothing changes, returns `messages` itself."""
    if _is_displayable(messages):
        return messages
    return pa.array([None if message is None else make_storable(message) for message in messages.to_pylist()], pa.string())


def show_values(values: pa.StringArray) -> pa.StringArray:
    r"""Return cells as they are displayed: NUL as `\x00`, at most 1,000 characters. If nothing changes, returns `values` itself."""
    # Cut first, so that only short texts are escaped; the second cut removes the characters that the escapes added.
    return values if _is_displayable(values) else _cut(escape_nul(_cut(values)))


def _is_displayable(texts: pa.StringArray) -> bool:
    """Whether no text has a NUL or more than 1,000 bytes, so not more characters either."""
    if not len(texts):
        return True
    ends, text = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1], texts.buffers()[2]
    if ends[0] == ends[-1]:
        return True
    has_nul = bool((np.frombuffer(text, np.uint8)[ends[0] : ends[-1]] == 0).any())
    return not has_nul and int(np.diff(ends).max()) <= MAX_TEXT_CHARACTERS


def escape_nul(values: pa.StringArray) -> pa.StringArray:
    r"""Return the texts with each NUL written as `\x00`."""
    return pc.replace_substring(values, pattern="\0", replacement="\\x00")


def _cut(values: pa.StringArray) -> pa.StringArray:
    return pc.utf8_slice_codeunits(values, start=0, stop=MAX_TEXT_CHARACTERS)
