"""Judge texts in a child process, which is ended if one of them takes too long.

Python's `re` cannot be interrupted by a thread and holds the interpreter's lock, and signals belong to the worker; only a separate process can be
ended for certain. It is started when the first cell needs it, fed in batches, and answers with one byte for each cell, so it is known which cell
hangs. The limit is CPU time, which the kernel counts and enforces in the child: a busy machine makes no cell count as slow, and a child that has
lost its parent ends.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

CELL_LIMIT_S = 1.0
"""CPU time for one cell."""
MAX_TOO_SLOW = 10
"""After this many cells have exceeded the limit, the rest of the column counts as too slow without being judged: a column costs at most 10 s."""
_ANSWER_LIMIT_S = 60.0
"""Time within which at least one answer must come, in case the child is stopped instead of ended."""
_BATCH_BYTES = 2**20
_READ_BYTES = 2**16


class Verdict(IntEnum):
    """The verdict on one cell."""

    BAD = 0
    GOOD = 1
    TOO_SLOW = 2


class LimitedJudge:
    """Judges texts by a pattern (`kind` "pattern", a regular expression) or a JSON Schema ("json-schema", an object)."""

    def __init__(self, kind: str, argument: Any) -> None:  # noqa: ANN401 - JSON
        self._order = json.dumps([kind, argument, CELL_LIMIT_S]).encode()
        self._process: subprocess.Popen[bytes] | None = None
        self._too_slow = 0

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """Return one verdict for each text, in order."""
        verdicts: list[Verdict] = []
        while len(verdicts) < len(texts):
            if self._too_slow >= MAX_TOO_SLOW:
                return verdicts + [Verdict.TOO_SLOW] * (len(texts) - len(verdicts))
            start, size = len(verdicts), 0
            end = start
            while end < len(texts) and size < _BATCH_BYTES:
                size += len(texts[end])
                end += 1
            verdicts += self._judge_batch(texts[start:end])
        return verdicts

    def close(self) -> None:
        """End the child; may be called twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _judge_batch(self, texts: Sequence[str]) -> list[Verdict]:
        """Return verdicts for the first of `texts`, at least one: up to the end, or up to and including the text that took too long."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        _write_message(process.stdin.fileno(), json.dumps(list(texts)).encode())
        answers = self._read_answers(process.stdout.fileno(), len(texts))
        verdicts = [Verdict(answer) for answer in answers]
        if len(verdicts) < len(texts):
            self._too_slow += 1
            self.close()
            verdicts.append(Verdict.TOO_SLOW)
        return verdicts

    def _read_answers(self, descriptor: int, count: int) -> bytes:
        answers = b""
        while len(answers) < count:
            ready, _, _ = select.select([descriptor], [], [], _ANSWER_LIMIT_S)
            received = os.read(descriptor, _READ_BYTES) if ready else b""
            if not received:
                # The child ended at this cell: it was too slow, or needed too much memory or stack. The cell cannot be judged in either case.
                break
            answers += received
        return answers

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            environment = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")}
            self._process = subprocess.Popen(  # noqa: S603 - the same interpreter and a fixed program, without text from the user
                [sys.executable, "-I", "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            _write_message(self._process.stdin.fileno(), self._order)
            ready, _, _ = select.select([self._process.stdout.fileno()], [], [], _ANSWER_LIMIT_S)
            if not ready or os.read(self._process.stdout.fileno(), 1) != b"r":
                self.close()
                raise RuntimeError("The process that judges patterns did not start.")
        return self._process


def _write_message(descriptor: int, message: bytes) -> None:
    data = memoryview(struct.pack("<Q", len(message)) + message)
    while data:
        data = data[os.write(descriptor, data) :]


# The complete program of the child. It ends with its parent: a closed pipe ends it between cells, SIGPROF within a cell.
_CHILD = r"""
import json, os, resource, signal, struct, warnings
def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data
def receive():
    return json.loads(read(struct.unpack("<Q", read(8))[0]))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
signal.signal(signal.SIGPROF, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
kind, argument, limit_s = receive()
if kind == "pattern":
    import re
    warnings.simplefilter("ignore")
    match = re.compile(argument).fullmatch
    def is_good(text):
        return match(text) is not None
else:
    import jsonschema, referencing
    validator = jsonschema.validators.validator_for(argument, default=jsonschema.Draft202012Validator)(argument, registry=referencing.Registry())
    def is_good(text):
        try:
            return validator.is_valid(json.loads(text))
        except (referencing.exceptions.Unresolvable, RecursionError):
            return False
os.write(1, b"r")
while True:
    for text in receive():
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        os.write(1, b"\1" if is_good(text) else b"\0")
    signal.setitimer(signal.ITIMER_PROF, 0)
"""
