"""Judge texts in a child process, which is ended if they take too long.

Python's `re` cannot be interrupted by a thread and holds the interpreter's lock, and signals belong to the worker; only a separate process can be
ended for certain. There is one for all rules of a job (`cell_judge.py`), started when the first text needs it. The limit is CPU time, which the
kernel counts and enforces: a busy machine makes no text count as slow.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from features.processing.checking.cell_judge import SIZE, TOO_LARGE_STATUS, USED, Verdict
from shared.child_process import start_child
from shared.descriptors.table_schema import Field

LIMIT_S = 10.0
"""CPU time for all texts of one field, beyond what ordinary texts take."""
ALL_LIMIT_S = 60.0
"""The same for all fields of a job."""
ORDINARY_S = {"pattern": 20e-6, "re2-pattern": 20e-6, "json-schema": 500e-6}
"""CPU time, by kind of rule, that a text may take without counting as slow: a file of millions of good rows is no reason to give up."""
ORDINARY_CHARACTER_S = 50e-9
"""The same for each character of a text."""
_ANSWER_LIMIT_S = 60.0
"""Time of the clock, beyond ten times the CPU time, within which an answer must come, in case the child is stopped instead of ended."""
_BATCH_CHARACTERS = 2**20
_READ_BYTES = 2**16
_ROUNDING_S = 1e-6
_MODULE = "features.processing.checking.cell_judge"


_TOO_LARGE_ENDS = (TOO_LARGE_STATUS, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT)
"""How the process ends, by its own status or as libraries written in C do it, if it has no memory or stack left for a text."""
_MAX_COMPLAINT = 4000

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Budget:
    """The time of one field; its rules share it."""

    field: Field
    spent_s: float = 0.0


class JudgeStopped(Exception):
    """Base of the reasons for which no more texts of a job are judged; `field` is the one to be blamed."""

    def __init__(self, field: Field) -> None:
        super().__init__(field.name)
        self.field = field


class TextsTooSlow(JudgeStopped):
    """The texts of one field have used up their time."""


class AllTextsTooSlow(JudgeStopped):
    """The texts of all fields have used up the time of the job; `field` is the one that used most of it."""


class TextsTooLarge(JudgeStopped):
    """The process has ended on a text: it needed more memory or stack than there is."""


class LimitedJudge:
    """The judge of one job: rules are added, then texts are judged by one of them at a time. It is used by one thread at a time."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, Any]] = []
        self._budgets: list[Budget] = []
        """Of each rule."""
        self._all_spent_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: set[int] = set()
        """Rules that the process knows."""

    def add_rule(self, kind: str, argument: Any, budget: Budget) -> int:  # noqa: ANN401 - JSON
        """Return the number of a new rule.

        `kind` is "pattern" (a regular expression that matches a text as a whole), "re2-pattern" (one for RE2 that is found in it) or "json-schema" (an object).
        """
        self._rules.append((kind, argument))
        self._budgets.append(budget)
        return len(self._rules) - 1

    def spend(self, budget: Budget, seconds: float) -> None:
        """Count CPU time that was spent on the texts of a field beyond what is ordinary. Raises `TextsTooSlow` or `AllTextsTooSlow` if none is left."""
        budget.spent_s += seconds
        self._all_spent_s += seconds
        if _left_s(budget) <= 0:
            raise TextsTooSlow(budget.field)
        if self._all_left_s() <= 0:
            raise AllTextsTooSlow(max(self._budgets, key=lambda each: each.spent_s).field)

    def left_s(self, budget: Budget) -> float:
        """Return the CPU time that is left for a field."""
        return min(_left_s(budget), self._all_left_s())

    def _all_left_s(self) -> float:
        return ALL_LIMIT_S - self._all_spent_s

    def judge(self, rule: int, texts: Iterable[str]) -> list[Verdict]:
        """Return one verdict for each text, in order; texts are taken in parts of about a mebibyte.

        Raises `TextsTooSlow`, `AllTextsTooSlow` and `TextsTooLarge`; the rule cannot be used after that.
        """
        verdicts: list[Verdict] = []
        batch: list[str] = []
        size = 0
        for text in texts:
            batch.append(text)
            size += len(text)
            if size >= _BATCH_CHARACTERS:
                verdicts += self._judge_batch(rule, batch, size)
                batch, size = [], 0
        if batch:
            verdicts += self._judge_batch(rule, batch, size)
        return verdicts

    def close(self) -> None:
        """End the child, and log what it complained of; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        self._sent.clear()
        process.kill()
        status = process.wait()
        complaint = process.stderr.read() if process.stderr is not None else b""
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if complaint:
            log.error("the process that judges patterns complained", status=status, stderr=complaint.decode(errors="replace")[-_MAX_COMPLAINT:])

    def _judge_batch(self, rule: int, texts: Sequence[str], size: int) -> list[Verdict]:
        (kind, _), budget = self._rules[rule], self._budgets[rule]
        ordinary_s = len(texts) * ORDINARY_S[kind] + size * ORDINARY_CHARACTER_S
        left_s = self.left_s(budget)
        limit_s = left_s + ordinary_s
        process = self._started()
        order = json.dumps([rule, None if rule in self._sent else self._rules[rule], limit_s, texts], ensure_ascii=False).encode()
        try:
            answer = _exchange(process, SIZE.pack(len(order)) + order, USED.size + len(texts), timeout_s=_ANSWER_LIMIT_S + 10 * limit_s)
        except (BrokenPipeError, EOFError):
            status = process.wait()
            self.close()
            if status == -signal.SIGPROF:
                self.spend(budget, left_s + _ROUNDING_S)
            if status in _TOO_LARGE_ENDS:
                raise TextsTooLarge(budget.field) from None
            # Somebody killed it, the kernel had no memory left, or it is broken: no fault of the file.
            raise RuntimeError(f"The process that judges patterns has ended (status {status}).") from None
        self._sent.add(rule)
        self.spend(budget, max(0.0, USED.unpack_from(answer)[0] - ordinary_s))
        return [Verdict(verdict) for verdict in answer[USED.size :]]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = start_child(_MODULE, streams=subprocess.PIPE, complaints=subprocess.PIPE)
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process


def _left_s(budget: Budget) -> float:
    return LIMIT_S - budget.spent_s


def _exchange(process: subprocess.Popen[bytes], order: bytes, size: int, *, timeout_s: float) -> bytes:
    """Write an order and return the answer of `size` bytes.

    Raises `BrokenPipeError` or `EOFError` if the process has ended, and `RuntimeError` if it takes longer than `timeout_s`.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    deadline_s = time.monotonic() + timeout_s
    left = memoryview(order)
    while left:
        _wait_for(process.stdin.fileno(), select.POLLOUT, deadline_s)
        left = left[os.write(process.stdin.fileno(), left) :]
    answer = bytearray()
    while len(answer) < size:
        _wait_for(process.stdout.fileno(), select.POLLIN, deadline_s)
        received = os.read(process.stdout.fileno(), _READ_BYTES)
        if not received:
            raise EOFError
        answer += received
    return bytes(answer)


def _wait_for(descriptor: int, event: int, deadline_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
        raise RuntimeError("The process that judges patterns does not answer.")
