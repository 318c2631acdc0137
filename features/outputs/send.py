"""Send the file of an output: in blocks, with ranges, and under a name that no header or screen can be fooled with."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, RedirectResponse, Response

from features.outputs.ask import locate
from features.outputs.problems import OutputGone
from shared.downloads import describe_download

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from shared.db.models import Output
    from shared.storage.base import AsyncFile, Storage

SIGNED_S = 300.0
"""How long the URL counts to which a client is sent, and which needs no key."""
CACHE_CONTROL = "private, no-cache"
"""May be kept by who asked for it, who asks with `If-None-Match` before using it again."""
_RANGES = re.compile(rb"bytes=\s*(?:[0-9]+-[0-9]*|-[0-9]+)(?:\s*,\s*(?:[0-9]+-[0-9]*|-[0-9]+))*\s*")


class OutputResponse(FileResponse):
    """A stored file in blocks of a size that costs few calls and little memory, wherever it is stored."""

    chunk_size = 256 * 1024

    def __init__(self, storage: Storage, name: str, *, size_bytes: int, made_at: float, headers: dict[str, str]) -> None:
        super().__init__(name, headers=headers, stat_result=os.stat_result((0,) * 6 + (size_bytes, made_at, made_at, made_at)))
        self._storage, self._name = storage, name

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[AsyncFile]:  # type: ignore[override]  # `read` and `seek` are all that it needs
        async with self._storage.open_file(self._name) as file:
            yield file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; a `Range` in another unit, or of no form that there is, counts as none (RFC 9110, section 14.2)."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _RANGES.fullmatch(value)]
        await super().__call__({**scope, "headers": headers}, receive, send)


async def send_output(storage: Storage, output: Output, *, filename: str, if_none_match: str | None, is_wanted_whole: bool) -> Response:
    """Return the response with the output's file, or a 304 if the client has it already. Raises `OutputGone`.

    `is_wanted_whole`: the client asks for the file and not only for what is told of it, so it may be sent to the store.

    The response reads the file when it is sent, and needs no database then.
    """
    etag = f'"{output.sha256}"'
    headers = {"ETag": etag, "Cache-Control": CACHE_CONTROL}
    if if_none_match is not None and _is_known(etag, if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    name = locate(output)
    size_bytes = await storage.measure_file(name)
    if size_bytes is None:
        raise OutputGone
    url = await storage.sign_url(name, lasts_s=SIGNED_S) if is_wanted_whole else None
    if url is not None:
        return RedirectResponse(url, headers={"Cache-Control": "private, no-store"})
    made_at = output.completed_at or output.created_at
    return OutputResponse(storage, name, size_bytes=size_bytes, made_at=made_at.timestamp(), headers=headers | describe_download(output.name, filename))


def _is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the file (RFC 9110, section 13.1.2: compared weakly)."""
    listed = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in listed or etag in listed
