"""One process of the API: uvicorn's server, which tells its supervisor that it lives, and on SIGTERM goes on for a while before it closes its sockets."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from socket import socket
from types import FrameType
from typing import Protocol

from uvicorn import Config, Server
from uvicorn.server import ServerState

BEAT_EVERY_TICKS = 50
"""uvicorn's loop ticks ten times a second."""


class Drainable(Protocol):
    """A connection that is told that its process will stop."""

    def drain(self) -> None:
        """End event streams, and the connection with its next answer."""


class DrainingState(ServerState):
    """What the connections of one process share."""

    def __init__(self) -> None:
        super().__init__()
        self.is_draining = False
        """The process has been asked to stop and still answers: each answer closes its connection, so that a proxy comes to look for another API."""


class ApiServer(Server):
    """Serves until SIGTERM or SIGINT, then as long as `drain_s` says (after SIGTERM only), then closes its sockets and ends what runs."""

    def __init__(self, config: Config, *, drain_s: float, on_ready: Callable[[], None], on_beat: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state: DrainingState = DrainingState()
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._on_beat = on_beat
        self._parent = os.getppid()
        self._drain_ends_at: float | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the application and listen, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop now."""
        if counter % BEAT_EVERY_TICKS == 0:
            self._on_beat()
        if os.getppid() != self._parent:  # nobody is left who would pass on a signal
            self.should_exit = True
        if self._drain_ends_at is not None:
            self._drain()
            self.should_exit |= time.monotonic() >= self._drain_ends_at
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's own
        """Begin to stop. A second SIGTERM ends the draining, a second SIGINT waits for nothing more."""
        if sig == signal.SIGTERM and self._drain_s > 0 and self._drain_ends_at is None and not self.should_exit:
            self._drain_ends_at = time.monotonic() + self._drain_s
        elif sig == signal.SIGINT and self.should_exit:
            self.force_exit = True
        else:
            self.should_exit = True

    def _drain(self) -> None:
        if self.server_state.is_draining:
            return
        self.server_state.is_draining = True
        for connection in list(self.server_state.connections):
            if hasattr(connection, "drain"):
                connection.drain()
