"""Judge descriptors for an event loop that must not wait: small plain ones in a thread, all others in processes that are ended if they take too long.

A thread cannot be stopped, and the regular expressions and JSON Schemas of a client can keep one busy for minutes. One process (`descriptor_judge.py`) is
started and forks a judge for each descriptor, which takes about 3 ms and gives back its memory by ending.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, TypeAlias

from shared.child_process import start_child
from shared.descriptors.descriptor_judge import ANSWER, HEADER, KINDS, LENGTH, OUT_OF_MEMORY, OUT_OF_TIME, SMALL_BYTES, STARTED, cpu_limit_s
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
_KNOWN_BYTES, _KNOWN_PROBLEMS = 2**20, 20
_ENTRY_BYTES = 300
"""Memory that a known descriptor takes besides the texts of its problems."""
_USE_S, _USE_CLIENTS = 60.0, 10_000
"""How long, and of how many clients, it is counted how much time their descriptors took."""
_NOT_PLAIN = (b"\\", b"%", b"any", b"pattern", b"jsonSchema")
"""Texts of schemas whose cost is not a matter of their length alone: regular expressions, forms of dates, and whatever is written with escapes."""
_MODULE = "shared.descriptors.descriptor_judge"


class JudgesBusy(Exception):
    """No judge was free in time, or none could be started; the same descriptor can be judged a little later."""


async def judge_descriptor(kind: Kind, text: bytes, *, client: str = "") -> dict[str, Any]:
    """Return the JSON object of a schema or dialect that can be used. Judges are shared out between the clients that wait for one.

    Raises `DescriptorInvalid` with every problem, also if judging it takes too long, and `JudgesBusy`.
    """
    if is_plain(kind, text) or len(text) > MAX_DESCRIPTOR_BYTES:
        return dict(await asyncio.to_thread(_parse, kind, text))
    digest = hashlib.sha256(kind.encode() + text).digest()
    problems = _known.get(digest)
    if problems is None:
        async with _turns.take(client, len(text)):
            problems = await _judge(kind, text)
        _known.add(digest, problems)
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


class _Known:
    """Problems of descriptors that were judged lately, by their hash: clients send the same schema with each of their files."""

    def __init__(self) -> None:
        self._problems: OrderedDict[bytes, tuple[DescriptorProblem, ...]] = OrderedDict()
        """The one that was asked for last is at the end."""
        self.size_bytes = 0

    def get(self, digest: bytes) -> tuple[DescriptorProblem, ...] | None:
        """Return the problems of a descriptor, or None if it is not known."""
        problems = self._problems.get(digest)
        if problems is not None:
            self._problems.move_to_end(digest)
        return problems

    def add(self, digest: bytes, problems: tuple[DescriptorProblem, ...]) -> None:
        """Remember a descriptor; those that were not asked for the longest time are forgotten."""
        if digest in self._problems or len(problems) > _KNOWN_PROBLEMS:
            return
        self._problems[digest] = problems
        self.size_bytes += _size_of(problems)
        while self.size_bytes > _KNOWN_BYTES:
            _, forgotten = self._problems.popitem(last=False)
            self.size_bytes -= _size_of(forgotten)


def _size_of(problems: Sequence[DescriptorProblem]) -> int:
    return _ENTRY_BYTES + sum(sys.getsizeof(problem) + sys.getsizeof(problem.pointer) + sys.getsizeof(problem.message) for problem in problems)


async def _judge(kind: Kind, text: bytes) -> tuple[DescriptorProblem, ...]:
    """Return the problems that a judge finds. Raises `JudgesBusy` if none can be started, or if it ends for a reason that the descriptor has no part in."""
    order = HEADER.pack(KINDS.index(kind), len(text)) + text
    timeout_s = _WALL_MARGIN_S + _WALL_FACTOR * cpu_limit_s(len(text))
    # Nothing at all is answered if the process that forks judges has ended; it is started again.
    answer = await _ask(order, timeout_s=timeout_s) or await _ask(order, timeout_s=timeout_s)
    for end, what in ((OUT_OF_TIME, "too long"), (OUT_OF_MEMORY, "too much memory")):
        if answer == STARTED + end:
            return (DescriptorProblem(f"/{kind}", f"This {kind} takes {what} to be checked; shorten its patterns, lists and JSON Schemas."),)
    found = _cut_answer(answer)
    if found is None:
        raise JudgesBusy
    problems = json.loads(found)
    if isinstance(problems, str):
        raise RuntimeError(f"A judge of descriptors failed: {problems}")  # noqa: TRY004  # text is how a judge says that
    return tuple(DescriptorProblem(pointer, message) for pointer, message in problems)


def _cut_answer(received: bytes | bytearray) -> bytes | None:
    """Return the JSON in a judge's answer, or None if it is not complete: the judge goes on, or has ended before or while it wrote it."""
    start = len(STARTED + ANSWER) + LENGTH.size
    if len(received) < start or not received.startswith(STARTED + ANSWER):
        return None
    [size] = LENGTH.unpack_from(received, start - LENGTH.size)
    return bytes(received[start : start + size]) if len(received) >= start + size else None


async def _ask(order: bytes, *, timeout_s: float) -> bytes:
    """Return what a new judge answers, until its answer is complete or it ends; empty if there is none, and then the process that forks them is ended.

    Raises `JudgesBusy` if the judge does not end in time.
    """
    try:
        judge, process = await asyncio.to_thread(_host.fork)
    except OSError:
        return b""
    with judge:
        try:
            async with asyncio.timeout(timeout_s):
                answer = await _exchange(judge, order)
        except TimeoutError as error:
            raise JudgesBusy from error
    if not answer:
        await asyncio.to_thread(_host.close, process)
    return answer


async def _exchange(judge: socket.socket, order: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    # A judge that is ended by the kernel may leave a connection that is reset.
    with suppress(ConnectionError):
        await loop.sock_sendall(judge, order)
    with suppress(ConnectionError):
        while _cut_answer(received) is None and (part := await loop.sock_recv(judge, 2**16)):
            received += part
    return bytes(received)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    client: str
    size_bytes: int
    number: int
    """In the order in which they came."""
    turn: asyncio.Future[None]

    @property
    def is_small(self) -> bool:
        return self.size_bytes <= SMALL_BYTES


class _Turns:
    """Decides which descriptor is judged next: that of the client whose descriptors took the least time lately, and of those the smallest.

    At most one of a client, and at most one large one, is judged at a time.
    """

    def __init__(self) -> None:
        self._clients: set[str] = set()
        """Clients of which a descriptor is being judged."""
        self._runs_large = False
        self._used_s: defaultdict[str, float] = defaultdict(float)
        """Time of the clock that the descriptors of each client took since `_used_since`."""
        self._used_since = 0.0
        self._waiting: list[_Waiting] = []
        self._numbers = count()

    @asynccontextmanager
    async def take(self, client: str, size_bytes: int) -> AsyncIterator[None]:
        """Hold a judge for the block. Raises `JudgesBusy` if none becomes free in time."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(client, size_bytes, next(self._numbers), loop.create_future())
        self._waiting.append(mine)
        self._wake(loop.time())
        try:
            await asyncio.wait_for(mine.turn, WAIT_S)
        except BaseException as error:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # its turn came at the same moment
                self._end(mine, loop.time())
            if isinstance(error, TimeoutError):
                raise JudgesBusy from error
            raise
        start_s = loop.time()
        try:
            yield
        finally:
            self._used_s[client] += loop.time() - start_s
            self._end(mine, loop.time())

    def _end(self, ended: _Waiting, now_s: float) -> None:
        self._clients.discard(ended.client)
        self._runs_large &= ended.is_small
        self._wake(now_s)

    def _wake(self, now_s: float) -> None:
        """Begin the turns of all that there is room for."""
        if now_s - self._used_since > _USE_S or len(self._used_s) > _USE_CLIENTS:
            self._used_s.clear()
            self._used_since = now_s
        while len(self._clients) < JUDGES:
            ready = [one for one in self._waiting if not one.turn.done() and one.client not in self._clients and (one.is_small or not self._runs_large)]
            if not ready:
                return
            chosen = min(ready, key=lambda one: (self._used_s.get(one.client, 0.0), one.size_bytes, one.number))
            self._waiting.remove(chosen)
            self._clients.add(chosen.client)
            self._runs_large |= not chosen.is_small
            chosen.turn.set_result(None)


class _Host:
    """The process that forks judges. It ends when this process does.

    Processes that are forked after it was started share it, and each starts one of its own when it is gone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> None:
        """Start the process unless it runs."""
        with self._lock:
            self._ensure()

    def fork(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Return a non-blocking connection with a new judge, and the process that forks it; if that is gone, it is started again. Raises `OSError`."""
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        try:
            with theirs:
                try:
                    return mine, self._send(theirs)
                except OSError:
                    return mine, self._send(theirs)
        except BaseException:
            mine.close()
            raise

    def close(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """End the process; if one is given, only if it is still that one, since several may find at once that it has ended."""
        with self._lock:
            if process is None or process is self._process:
                self._end()

    def _send(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        with self._lock:
            control, process = self._ensure()
            try:
                socket.send_fds(control, [b"j"], [theirs.fileno()])
            except OSError:
                self._end()
                raise
            return process

    def _ensure(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        if self._control is None or self._process is None:
            self._control, self._process = self._start()
            self._pid = os.getpid()
        return self._control, self._process

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None and self._pid == os.getpid():  # otherwise the others that share it go on
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    @staticmethod
    def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
        mine, theirs = socket.socketpair()
        with theirs:
            process = start_child(_MODULE, str(theirs.fileno()), streams=subprocess.DEVNULL, complaints=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        # A process that takes nothing any more makes sending fail, and is replaced.
        mine.setblocking(False)
        return mine, process


_known = _Known()
_turns = _Turns()
_host = _Host()
atexit.register(_host.close)
