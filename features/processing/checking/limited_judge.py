"""Judge texts in a child process, which is ended if they take too long.

Python's `re` cannot be interrupted by a thread and holds the interpreter's lock, and signals belong to the worker; only a separate process can be
ended for certain. There is one for all rules of a job (`judge_process.py`), started when the first text needs it. The limit is CPU time, which the
kernel counts and enforces: a busy machine makes no text count as slow.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.processing.checking.judge_process import SIZE, USED, Verdict

LIMIT_S = 10.0
"""CPU time for all texts of one rule, beyond what ordinary texts take."""
ALL_LIMIT_S = 60.0
"""The same for all rules of a job."""
ORDINARY_S = {"pattern": 20e-6, "re2-pattern": 20e-6, "json-schema": 500e-6}
"""CPU time, by kind of rule, that a text may take without counting as slow: a file of millions of good rows is no reason to give up."""
ORDINARY_CHARACTER_S = 50e-9
"""The same for each character of a text."""
_ANSWER_LIMIT_S = 60.0
"""Time of the clock, beyond ten times the CPU time, within which an answer must come, in case the child is stopped instead of ended."""
_BATCH_CHARACTERS = 2**20
_READ_BYTES = 2**16
_MODULE = "features.processing.checking.judge_process"
_ROOT = Path(__file__).parents[3]
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")


class TextsTooSlow(Exception):
    """The texts of one rule have used up their time."""


class TextsTooLarge(Exception):
    """The process has ended on a text: it needed more memory or stack than there is."""


class LimitedJudge:
    """The judge of one job: rules are added, then texts are judged by one of them at a time. It is used by one thread at a time."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, Any]] = []
        self._spent_s: list[float] = []
        self._all_spent_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: set[int] = set()
        """Rules that the process knows."""

    def add_rule(self, kind: str, argument: Any) -> int:  # noqa: ANN401 - JSON
        """Return the number of a new rule.

        `kind` is "pattern" (a regular expression that matches a text as a whole), "re2-pattern" (one for RE2 that is found in it) or "json-schema" (an object).
        """
        self._rules.append((kind, argument))
        self._spent_s.append(0.0)
        return len(self._rules) - 1

    def spend(self, rule: int, seconds: float) -> None:
        """Count CPU time that was spent on the texts of a rule beyond what is ordinary. Raises `TextsTooSlow` if none is left."""
        self._spent_s[rule] += seconds
        self._all_spent_s += seconds
        if self._left_s(rule) <= 0:
            raise TextsTooSlow

    def _left_s(self, rule: int) -> float:
        return min(LIMIT_S - self._spent_s[rule], ALL_LIMIT_S - self._all_spent_s)

    def judge(self, rule: int, texts: Sequence[str]) -> list[Verdict]:
        """Return one verdict for each text, in order. Raises `TextsTooSlow` and `TextsTooLarge`; the rule cannot be used after that."""
        verdicts: list[Verdict] = []
        while len(verdicts) < len(texts):
            start, size = len(verdicts), 0
            end = start
            while end < len(texts) and size < _BATCH_CHARACTERS:
                size += len(texts[end])
                end += 1
            verdicts += self._judge_batch(rule, texts[start:end], size)
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
            self._sent.clear()

    def _judge_batch(self, rule: int, texts: Sequence[str], size: int) -> list[Verdict]:
        kind, _ = self._rules[rule]
        ordinary_s = len(texts) * ORDINARY_S[kind] + size * ORDINARY_CHARACTER_S
        limit_s = self._left_s(rule) + ordinary_s
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        order = json.dumps([rule, None if rule in self._sent else self._rules[rule], limit_s, texts], ensure_ascii=False).encode()
        try:
            _write_all(process.stdin.fileno(), SIZE.pack(len(order)) + order)
            answer = _read_answer(process.stdout.fileno(), USED.size + len(texts), timeout_s=_ANSWER_LIMIT_S + 10 * limit_s)
        except (BrokenPipeError, EOFError):
            raise self._explain_end() from None
        self._sent.add(rule)
        self.spend(rule, max(0.0, USED.unpack_from(answer)[0] - ordinary_s))
        return [Verdict(verdict) for verdict in answer[USED.size :]]

    def _explain_end(self) -> Exception:
        """Close what is left of the process, and return the reason for its end."""
        assert self._process is not None
        status = self._process.wait()
        self.close()
        if status == -signal.SIGPROF:
            return TextsTooSlow()
        if status == -signal.SIGKILL:
            # The kernel had no memory left, or somebody did it: no fault of the file.
            return RuntimeError("The process that judges patterns was killed.")
        return TextsTooLarge()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # A single malloc arena: each further one would count 64 MiB of address space towards the child's limit.
            environment = {"MALLOC_ARENA_MAX": "1"} | {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
            self._process = subprocess.Popen(  # noqa: S603 - it runs a module of this project
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                env=environment,
                start_new_session=True,
            )
        return self._process


def _read_answer(descriptor: int, size: int, *, timeout_s: float) -> bytes:
    """Raises `EOFError` if the process has ended, `RuntimeError` if it neither ends nor answers."""
    answer = bytearray()
    while len(answer) < size:
        ready, _, _ = select.select([descriptor], [], [], timeout_s)
        if not ready:
            raise RuntimeError("The process that judges patterns does not answer.")
        received = os.read(descriptor, _READ_BYTES)
        if not received:
            raise EOFError
        answer += received
    return bytes(answer)


def _write_all(descriptor: int, message: bytes) -> None:
    left = memoryview(message)
    while left:
        left = left[os.write(descriptor, left) :]
