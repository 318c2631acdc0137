"""The process that judges descriptors: it forks a judge for each connection that it is given, with limits on CPU time and memory.

Run as `python -m shared.descriptors.descriptor_judge FD`; FD is a Unix socket, each message of which brings one end of a connection. It ends when
that socket closes. Over a connection comes `HEADER`, then the descriptor; the judge answers `STARTED`, and then, unless a limit ends it before, `ANSWER`,
the size as `LENGTH`, and a JSON list of `[pointer, message]`, one for each problem, or, if it fails, a JSON text that says where. After its end this process
adds `OUT_OF_TIME`, `OUT_OF_MEMORY` or `ENDED` and closes the connection.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from shared.child_process import prepare_child
from shared.descriptors.problems import DescriptorInvalid
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json

KINDS = ("schema", "dialect")
HEADER = struct.Struct("<BQ")
"""Index in `KINDS`, and the descriptor's size in bytes."""
STARTED = b"+"
ANSWER = b"="
LENGTH = struct.Struct("<Q")
OUT_OF_TIME, OUT_OF_MEMORY, ENDED = b"T", b"M", b"E"
"""How the judge ended: by its limit of CPU time; by want of memory or stack; otherwise, also after an answer."""
SMALL_BYTES = 64 * 2**10
_CPU_LIMITS_S = ((8 * 2**10, 0.2), (SMALL_BYTES, 0.4), (2**20, 1.6))
"""CPU time for descriptors of these sizes; those between get a share."""
_MEMORY_BYTES = 3 * 2**27
"""Address space; Python and a descriptor of 1 MiB that is nothing but brackets take about half of it."""
_OUT_OF_MEMORY_STATUS = 77
"""Exit status of a judge that gets a `MemoryError` or `RecursionError` under its limits."""
_OUT_OF_MEMORY_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""How libraries written in C end a process that has no memory or stack left."""


def cpu_limit_s(size_bytes: int) -> float:
    """Return the CPU time in seconds for a descriptor of this size."""
    (below_bytes, limit_s), *larger = _CPU_LIMITS_S
    for above_bytes, above_s in larger:
        share = min(1.0, max(0.0, (size_bytes - below_bytes) / (above_bytes - below_bytes)))
        limit_s += share * (above_s - limit_s)
        below_bytes = above_bytes
    return limit_s


def main(arguments: Sequence[str]) -> None:
    """Fork a judge for each connection, until there will be no more."""
    control = socket.socket(fileno=int(arguments[0]))
    # It ends with its parent, so uploads under way can be completed when a signal is sent to the whole service.
    prepare_child()
    woken = _wake_on_ends()
    # What is there now is kept; without this each judge would copy the pages of all objects.
    gc.collect()
    gc.freeze()
    judges: dict[int, socket.socket] = {}
    """Connections of the judges that run, by process id."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if woken.fileno() in ready:
            woken.recv(2**12)
            _report_ends(judges)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not message:
                return
            for descriptor in descriptors:
                _fork_judge(socket.socket(fileno=descriptor), judges, [control, woken])


def _wake_on_ends() -> socket.socket:
    """Return a socket that can be read when a child has ended."""
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(waker.detach(), warn_on_full_buffer=False)
    return woken


def _fork_judge(connection: socket.socket, judges: dict[int, socket.socket], others: Sequence[socket.socket]) -> None:
    try:
        pid = os.fork()
    except OSError:  # too many processes
        _end_connection(connection, ENDED)
        return
    if pid:
        judges[pid] = connection
        return
    signal.set_wakeup_fd(-1)
    for other in (*judges.values(), *others):
        other.close()
    _run_judge(connection)


def _report_ends(judges: dict[int, socket.socket]) -> None:
    """Report the end of each judge that has ended."""
    while judges:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        code = os.waitstatus_to_exitcode(status)
        end = ENDED
        if code == -signal.SIGPROF:
            end = OUT_OF_TIME
        elif code == _OUT_OF_MEMORY_STATUS or -code in _OUT_OF_MEMORY_SIGNALS:
            end = OUT_OF_MEMORY
        _end_connection(judges.pop(pid), end)


def _end_connection(connection: socket.socket, end: bytes) -> None:
    # If the client does not read, or has gone, it needs no answer.
    with connection, suppress(OSError):
        connection.send(end, socket.MSG_DONTWAIT)


def _run_judge(connection: socket.socket) -> NoReturn:
    """Judge one descriptor, and end this process."""
    status = 1
    try:
        status = _judge_one(connection)
    finally:
        os._exit(status)


def _judge_one(connection: socket.socket) -> int:
    """Judge one descriptor under limits, and return the exit status of the judge."""
    kind, size = HEADER.unpack(_receive(connection, HEADER.size))
    text = _receive(connection, size)
    connection.sendall(STARTED)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        signal.setitimer(signal.ITIMER_PROF, cpu_limit_s(size))
        # Nothing is garbage before the end, and looking for it takes a third of the time.
        gc.disable()
        answer = json.dumps(_answer(KINDS[kind], text)).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
    except (MemoryError, RecursionError):
        return _OUT_OF_MEMORY_STATUS
    # From here on no limit ends the process, so an answer is complete.
    connection.sendall(ANSWER + LENGTH.pack(len(answer)) + answer)
    return 0


def _answer(kind: str, text: bytes) -> list[tuple[str, str]] | str:
    try:
        return _find_problems(kind, text)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001  # whoever asks raises it again; its message may quote the descriptor
        return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"


def _find_problems(kind: str, text: bytes) -> list[tuple[str, str]]:
    try:
        if kind == "schema":
            parse_table_schema_json(text)
        else:
            parse_table_dialect_json(text)
    except DescriptorInvalid as invalid:
        return [(problem.pointer, problem.message) for problem in invalid.problems]
    return []


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(2**16, size - len(parts)))
        if not part:
            raise ConnectionError
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
