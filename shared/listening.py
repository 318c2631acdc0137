"""A worker's ear for other workers (kombu's pub/sub connection), bounded in time."""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport.redis import Channel


def bound_listening() -> None:
    """Have kombu read from its pub/sub connection only when something is there to be read; doing so twice is fine.

    kombu 5.7.0 with redis-py 8 reads without a time limit whenever its event loop says that a file descriptor is readable. When a connection died
    without a word and another one was given its number, nothing was: the worker's main process waited for ever and took no more jobs, alive to see.
    """
    if Channel._receive_one is not _receive_if_there:  # noqa: SLF001  # there is no other way in
        Channel._receive_one = _receive_if_there  # noqa: SLF001


_receive_one = Channel._receive_one  # noqa: SLF001


def _receive_if_there(channel: Any, client: Any) -> Any:  # noqa: ANN401  # kombu is untyped
    try:
        nothing = client.connection is not None and not client.connection.can_read(timeout=0)
    except channel.connection_errors:
        channel._in_listen = None  # noqa: SLF001  # as where the read itself fails
        raise
    if nothing:
        raise Empty
    return _receive_one(channel, client)
