"""Judge descriptors for an event loop that must not wait: small plain ones in a thread, all others in processes that are ended if they take too long.

A thread cannot be stopped, and the regular expressions and JSON Schemas of a client can keep one busy for minutes. One process (`judge_process.py`) is
started and forks a judge for each descriptor, which takes about 3 ms and gives back its memory by ending.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import heapq
import json
import os
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeAlias

from shared.descriptors.judge_process import HEADER, KINDS, SMALL_BYTES, STARTED, cpu_limit_s
from shared.descriptors.problems import MAX_DESCRIPTOR_BYTES, DescriptorInvalid, DescriptorProblem
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json

Kind: TypeAlias = Literal["schema", "dialect"]

PLAIN_BYTES = 4096
"""Longest descriptor that is judged in a thread; it takes a few milliseconds at most if it is plain."""
JUDGES = 3
"""Judges at once for one process; only one of them at a time may judge a descriptor of more than `SMALL_BYTES`."""
WAIT_S = 5.0
"""How long a descriptor waits for a judge."""
_WALL_MARGIN_S, _WALL_FACTOR = 2.0, 4
"""Time of the clock that a judge gets for its CPU time: the machine may be busy."""
_KNOWN_ENTRIES, _KNOWN_PROBLEMS = 512, 20
_NOT_PLAIN = (b"\\", b"%", b"any", b"pattern", b"jsonSchema")
"""Texts of schemas whose cost is not a matter of their length alone: regular expressions, forms of dates, and whatever is written with escapes."""
_ROOT = Path(__file__).parents[2]
_MODULE = "shared.descriptors.judge_process"
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")

_known: OrderedDict[bytes, tuple[DescriptorProblem, ...]] = OrderedDict()
"""Problems of descriptors that were judged lately, by their hash: clients send the same schema with each of their files."""


class JudgesBusy(Exception):
    """No judge was free in time, or none could be started; the same descriptor can be judged a little later."""


async def judge_descriptor(kind: Kind, text: bytes) -> dict[str, Any]:
    """Return the JSON object of a schema or dialect that can be used.

    Raises `DescriptorInvalid` with every problem, also if judging it takes too long, and `JudgesBusy`.
    """
    if is_plain(kind, text) or len(text) > MAX_DESCRIPTOR_BYTES:
        return dict(await asyncio.to_thread(_parse, kind, text))
    digest = hashlib.sha256(kind.encode() + text).digest()
    problems = _known.get(digest)
    if problems is None:
        async with _turns.take(len(text)):
            problems = await _judge(kind, text)
        _remember(digest, problems)
    if problems:
        raise DescriptorInvalid(problems)
    decoded: dict[str, Any] = await asyncio.to_thread(json.loads, text.decode("utf-8-sig"))
    return decoded


def is_plain(kind: Kind, text: bytes) -> bool:
    """Whether a descriptor is short, and the time that it takes grows with nothing but its length."""
    return len(text) <= PLAIN_BYTES and (kind == "dialect" or not any(word in text for word in _NOT_PLAIN))


def start_judging() -> None:
    """Start the process that forks judges, unless it runs already; without this the first descriptor waits for it."""
    _host.start()


def _parse(kind: Kind, text: bytes) -> Mapping[str, Any]:
    return parse_table_schema_json(text).descriptor if kind == "schema" else parse_table_dialect_json(text).descriptor


def _remember(digest: bytes, problems: tuple[DescriptorProblem, ...]) -> None:
    if len(problems) <= _KNOWN_PROBLEMS:
        _known[digest] = problems
        while len(_known) > _KNOWN_ENTRIES:
            _known.popitem(last=False)


async def _judge(kind: Kind, text: bytes) -> tuple[DescriptorProblem, ...]:
    """Return the problems that a judge finds. Raises `JudgesBusy` if none can be started, or if the machine is too busy for it."""
    order = HEADER.pack(KINDS.index(kind), len(text)) + text
    timeout_s = _WALL_MARGIN_S + _WALL_FACTOR * cpu_limit_s(len(text))
    answer = await _ask(order, timeout_s=timeout_s)
    if not answer.startswith(STARTED):
        # The process that forks judges has ended, or could not fork.
        await asyncio.to_thread(_host.close)
        answer = await _ask(order, timeout_s=timeout_s)
    if not answer.startswith(STARTED):
        raise JudgesBusy
    if len(answer) == len(STARTED):
        # The judge has reached its limit of CPU time or memory.
        return (DescriptorProblem(f"/{kind}", f"This {kind} takes too long to be checked; shorten its patterns, lists and JSON Schemas."),)
    found = json.loads(answer[len(STARTED) :])
    if isinstance(found, str):
        raise RuntimeError(f"A judge of descriptors failed: {found}")  # noqa: TRY004  # text is how a judge says that
    return tuple(DescriptorProblem(pointer, message) for pointer, message in found)


async def _ask(order: bytes, *, timeout_s: float) -> bytes:
    """Return what a new judge answers until it ends; empty if it does not start. Raises `JudgesBusy` if it does not end in time."""
    try:
        judge = await asyncio.to_thread(_host.fork)
    except OSError:
        return b""
    with judge:
        try:
            async with asyncio.timeout(timeout_s):
                return await _exchange(judge, order)
        except TimeoutError as error:
            raise JudgesBusy from error


async def _exchange(judge: socket.socket, order: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    parts = []
    # A judge that is ended by the kernel may leave a connection that is reset.
    with suppress(ConnectionError):
        await loop.sock_sendall(judge, order)
        while part := await loop.sock_recv(judge, 2**16):
            parts.append(part)
    return b"".join(parts)


class _Turns:
    """Decides which descriptor is judged next: the smallest of those that wait. At most one large one is judged at a time."""

    def __init__(self) -> None:
        self._running = {True: 0, False: 0}
        """How many small and how many large descriptors are being judged."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def take(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold a judge for the block. Raises `JudgesBusy` if none becomes free in time."""
        is_small = size_bytes <= SMALL_BYTES
        await self._wait(size_bytes, is_small=is_small)
        try:
            yield
        finally:
            self._running[is_small] -= 1
            self._wake()

    async def _wait(self, size_bytes: int, *, is_small: bool) -> None:
        if self._has_room(is_small=is_small):
            self._running[is_small] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (size_bytes, next(self._numbers), turn))
        try:
            await asyncio.wait_for(turn, WAIT_S)
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._running[is_small] -= 1
                self._wake()
            if isinstance(error, TimeoutError):
                raise JudgesBusy from error
            raise

    def _has_room(self, *, is_small: bool) -> bool:
        return sum(self._running.values()) < JUDGES and (is_small or not self._running[False])

    def _wake(self) -> None:
        while self._waiting:
            size_bytes, _, turn = self._waiting[0]
            is_small = size_bytes <= SMALL_BYTES
            if not turn.done():
                if not self._has_room(is_small=is_small):
                    return
                self._running[is_small] += 1
                turn.set_result(None)
            heapq.heappop(self._waiting)


class _Host:
    """The process that forks judges. It ends when this process does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> None:
        """Start the process unless it runs."""
        with self._lock:
            if self._control is None or self._pid != os.getpid():
                self._start()

    def fork(self) -> socket.socket:
        """Return a non-blocking connection with a new judge; if the process is gone, it is started again. Raises `OSError`."""
        self.start()
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        try:
            with theirs:
                try:
                    self._send(theirs)
                except OSError:
                    self.close()
                    self.start()
                    self._send(theirs)
        except BaseException:
            mine.close()
            raise
        return mine

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._control is not None and self._pid == os.getpid():
                self._control.close()
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
            self._control = self._process = None

    def _send(self, theirs: socket.socket) -> None:
        with self._lock:
            if self._control is None:
                raise OSError("the process that forks judges has just ended")
            socket.send_fds(self._control, [b"j"], [theirs.fileno()])

    def _start(self) -> None:
        mine, theirs = socket.socketpair()
        with theirs:
            environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
            self._process = subprocess.Popen(  # noqa: S603 - it runs a module of this project
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                env=environment,
                start_new_session=True,
            )
        # A process that takes nothing any more makes sending fail, and is replaced.
        mine.setblocking(False)
        self._control, self._pid = mine, os.getpid()


_turns = _Turns()
_host = _Host()
atexit.register(_host.close)
