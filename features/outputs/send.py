"""Send the file of an output: in blocks that are read in a thread, with ranges, and under a name that no header or screen can be fooled with."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import unicodedata
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from features.outputs.problems import OutputGone
from shared.output_names import MEDIA_TYPES, parse_output_name

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from shared.db.models import Output

MAX_NAME_CHARACTERS = 100
CACHE_CONTROL = "private, no-cache"
"""May be kept by who asked for it, who asks with `If-None-Match` before using it again."""
_RANGES = re.compile(rb"bytes=\s*(?:[0-9]+-[0-9]*|-[0-9]+)(?:\s*,\s*(?:[0-9]+-[0-9]*|-[0-9]+))*\s*")
_FOREIGN_TO_NAMES = frozenset('/\\:*?"<>|%')
"""Characters that file systems refuse, and `%`, by which browsers guess at a second encoding."""


class OutputResponse(FileResponse):
    """A file in blocks of a size that costs few calls and little memory."""

    chunk_size = 256 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; a `Range` in another unit, or of no form that there is, counts as none (RFC 9110, section 14.2)."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _RANGES.fullmatch(value)]
        await super().__call__({**scope, "headers": headers}, receive, send)


async def send_output(output: Output, path: Path, *, filename: str, if_none_match: str | None) -> Response:
    """Return the response with the output's file, or a 304 if the client has it already. Raises `OutputGone`.

    The response reads the file when it is sent, and needs no database then.
    """
    etag = f'"{output.sha256}"'
    headers = {"ETag": etag, "Cache-Control": CACHE_CONTROL}
    if if_none_match is not None and _is_known(etag, if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        found = await asyncio.to_thread(os.stat, path)
    except FileNotFoundError:
        raise OutputGone from None
    if not stat.S_ISREG(found.st_mode):
        raise OutputGone
    return OutputResponse(path, headers=headers | describe_file(output.name, filename), stat_result=found)


def describe_file(name: str, filename: str) -> dict[str, str]:
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


def _is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the file (RFC 9110, section 13.1.2: compared weakly)."""
    listed = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in listed or etag in listed
