"""How the file of an output is described to whoever downloads it: its type, and a name that no header or screen can be fooled with."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from shared.output_names import MEDIA_TYPES, parse_output_name

MAX_NAME_CHARACTERS = 100
_FOREIGN_TO_NAMES = frozenset('/\\:*?"<>|%')
"""Characters that file systems refuse, and `%`, by which browsers guess at a second encoding."""


def describe_download(name: str, filename: str) -> dict[str, str]:
    """Return the headers that say what the file is: its type, and the name that it is saved under."""
    parsed = parse_output_name(name)
    # No charset is named: the good rows of a CSV leave in the encoding that they came in.
    media_type = MEDIA_TYPES[parsed.format] if parsed is not None else "application/octet-stream"
    return {"Content-Type": media_type, "Content-Disposition": make_disposition(name_download(filename, name))}


def name_download(filename: str, name: str) -> str:
    """Return the name for the output of a job whose file is called `filename`: `orders-rejected.xlsx`.

    Characters that control a terminal or the direction of text, or that no file system takes, are left out.
    """
    stem = filename.rpartition(".")[0] or filename
    shown = "".join(character for character in unicodedata.normalize("NFC", stem) if _is_shown(character))
    plain = " ".join(shown.split())[:MAX_NAME_CHARACTERS].strip(" .") or "file"
    return f"{plain}-{name}"


def _is_shown(character: str) -> bool:
    """Whether a character may stand in a name: it is no control, format (such as right-to-left marks), surrogate, private or unassigned one."""
    return unicodedata.category(character)[0] != "C" and character not in _FOREIGN_TO_NAMES


def make_disposition(filename: str) -> str:
    """Return the `Content-Disposition` for a download (RFC 6266): the name in ASCII for old clients, and in UTF-8 (RFC 8187) if it is another."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = "".join("_" if character in '"\\;' else character for character in plain)
    if plain.startswith("-"):  # nothing of the name was ASCII
        plain = f"file{plain}"
    header = f'attachment; filename="{plain}"'
    return header if plain == filename else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"
