from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trustme
import uvicorn
import uvloop

from shared.web import http_protocol
from shared.web.buffered_reads import MAX_READ_BYTES, MIN_READ_BYTES, READ_BYTES_OF_ALL, BufferedReads
from shared.web.http_protocol import GuardedProtocol

BODY = bytes(range(256)) * 8192


@pytest.mark.parametrize(
    ("connections", "size"),
    [
        (1, MAX_READ_BYTES),
        (READ_BYTES_OF_ALL // MAX_READ_BYTES, MAX_READ_BYTES),
        (48, READ_BYTES_OF_ALL // 48),
        (10_000, MIN_READ_BYTES),
    ],
)
def test_connections_share_what_is_read_at_once(connections: int, size: int) -> None:
    protocol = cast("GuardedProtocol", SimpleNamespace(connections=range(connections)))
    assert len(BufferedReads(protocol).get_buffer(-1)) == size


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        assert type(message["body"]) is bytes
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("encrypted", [False, True])
def test_body_arrives_as_it_was_sent(new_loop: Callable[[], asyncio.AbstractEventLoop], *, encrypted: bool, tmp_path: Path) -> None:
    """Runs on both event loops that uvicorn supports, and with its own TLS."""
    authority, certificate = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    config = uvicorn.Config(echo, http=GuardedProtocol, lifespan="off", log_level="error", ssl_certfile=certificate if encrypted else None)
    context = ssl.create_default_context() if encrypted else None
    if context is not None:
        authority.configure_trust(context)
    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        answer = runner.run(send_body(uvicorn.Server(config), listener, context))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == BODY


async def send_body(server: uvicorn.Server, listener: socket.socket, context: ssl.SSLContext | None) -> bytes:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1], ssl=context)
    writer.write(b"POST / HTTP/1.1\r\nhost: rowgate\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY)
    answer = await reader.read()
    writer.close()
    server.should_exit = True
    await serving
    return answer


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("encrypted", [False, True])
def test_client_that_does_not_read_is_given_up_and_at_once_if_too_much_waits_for_all(
    new_loop: Callable[[], asyncio.AbstractEventLoop], *, encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "LOOK_S", 0.02)
    certificate = tmp_path / "certificate.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))

    async def measure() -> tuple[bool, bool]:
        config = uvicorn.Config(send_much, http=GuardedProtocol, lifespan="off", log_level="error", ssl_certfile=certificate if encrypted else None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        context = ssl._create_unverified_context() if encrypted else None
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1], ssl=context, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: rowgate\r\n\r\n")
        await reader.read(1)
        await asyncio.sleep(1)
        is_kept = len(server.server_state.connections) == 1
        # With TLS some event loops do not tell what waits.
        monkeypatch.setattr(http_protocol, *(("WRITE_TIMEOUT_S", 0.5) if encrypted else ("UNREAD_BYTES_OF_ALL", 2**20)))
        async with asyncio.timeout(20):
            while server.server_state.connections:
                await asyncio.sleep(0.02)
        writer.transport.abort()
        server.should_exit = True
        await serving
        return is_kept, http_protocol._unread.total_bytes == 0

    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(measure()) == (True, True)


async def send_much(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(16 * 2**20)})
