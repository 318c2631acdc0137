"""An answer of events that begins while the process stops ends at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.web.event_stream import END_STREAM, IS_STOPPING, EventStream


class Source:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")

    def end(self) -> None:
        self.calls.append("end")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b": x\n\n"


@pytest.mark.parametrize(("marks", "calls"), [({}, ["open", "close"]), ({IS_STOPPING: True}, ["open", "end", "close"])])
async def test_stream_that_begins_while_the_process_stops_ends(marks: dict[str, Any], calls: list[str]) -> None:
    source = Source()
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody asks")

    scope: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.4"}, **marks}
    await EventStream(source)(scope, receive, send)
    assert source.calls == calls
    assert END_STREAM not in scope
    assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)
