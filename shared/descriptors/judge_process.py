"""The process that judges descriptors: it forks a judge for each connection that it is given, with limits on CPU time and memory.

Run as `python -m shared.descriptors.judge_process FD`; FD is a Unix socket, each message of which brings one end of a connection. It ends when
that socket closes. Over a connection comes `HEADER`, then the descriptor; the judge answers `STARTED`, and then, unless a limit ends it before, a JSON
list of `[pointer, message]`, one for each problem, or, if it fails, a JSON text that says where.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence

from shared.descriptors.problems import DescriptorInvalid
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json

KINDS = ("schema", "dialect")
HEADER = struct.Struct("<BQ")
"""Index in `KINDS`, and the descriptor's size in bytes."""
STARTED = b"+"
SMALL_BYTES = 64 * 2**10
_CPU_LIMITS_S = ((8 * 2**10, 0.2), (SMALL_BYTES, 0.4), (2**20, 1.6))
"""CPU time for descriptors of these sizes; those between get a share."""
_MEMORY_BYTES = 3 * 2**27
"""Address space; Python and a descriptor of 1 MiB that is nothing but brackets take about half of it."""


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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # judges that have ended need not be waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is there now is kept; without this each judge would copy the pages of all objects.
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        try:
            is_judge = os.fork() == 0
        except OSError:
            is_judge = False  # too many processes: whoever waits sees the connection close
        if is_judge:
            control.close()
            _run_judge(descriptors[0])
        for descriptor in descriptors:
            os.close(descriptor)


def _run_judge(descriptor: int) -> None:
    """Judge one descriptor, and end this process."""
    try:
        with socket.socket(fileno=descriptor) as connection:
            kind, size = HEADER.unpack(_receive(connection, HEADER.size))
            text = _receive(connection, size)
            connection.sendall(STARTED)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            signal.setitimer(signal.ITIMER_PROF, cpu_limit_s(size))
            # Nothing is garbage before the end, and looking for it takes a third of the time.
            gc.disable()
            connection.sendall(json.dumps(_answer(KINDS[kind], text)).encode())
    except (MemoryError, RecursionError, OSError):
        os._exit(1)
    finally:
        os._exit(0)


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
