"""TLS before the tests' servers, whose programs speak none: it is ended here, with a certificate of an authority made for the occasion."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import trustme

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""What a client of PostgreSQL sends before TLS begins (Frontend/Backend Protocol, "SSLRequest")."""


def write_authority(folder: Path, name: str) -> tuple[trustme.CA, Path]:
    """Make a certificate authority, and write its certificate to a file."""
    authority, path = trustme.CA(), folder / f"{name}.pem"
    authority.cert_pem.write_to_path(path)
    return authority, path


@contextmanager
def running_tls(url: str, authority: trustme.CA) -> Iterator[str]:
    """Accept TLS for `localhost` before the server of `url`, and yield the URL that leads there, without parameters."""
    place = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    is_redis, loop = place.scheme.startswith("redis"), asyncio.new_event_loop()

    async def pass_on(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        if not is_redis:
            assert await client.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
            answers.write(b"S")
            await answers.start_tls(context)
        server, questions = await asyncio.open_connection("127.0.0.1", place.port)
        copies = [asyncio.ensure_future(copy(client, questions)), asyncio.ensure_future(copy(server, answers))]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for writer in (questions, answers):
            writer.close()
        await asyncio.wait(copies)

    async def accept(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await pass_on(client, answers)
        answers.close()

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0, ssl=context if is_redis else None))
    loop.set_exception_handler(lambda *_: None)  # clients that do not trust this
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        user = f"{place.username or ''}:{place.password}@"
        scheme = "rediss" if is_redis else place.scheme
        yield place._replace(scheme=scheme, netloc=f"{user}localhost:{server.sockets[0].getsockname()[1]}").geturl()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(end_all(server))
        loop.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(2**16):
            writer.write(block)
            await writer.drain()


async def end_all(server: asyncio.Server) -> None:
    server.close()
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
