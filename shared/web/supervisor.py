"""Keep the processes of the API running: forked from one process that has loaded the application, so that they share its memory.

A process that ends before it has ever served ends everything, with its exit code, since the next one would do the same. One that ends later, or whose event
loop hangs, is replaced, after a pause that grows while that goes on.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import structlog

TICK_S = 1.0
SILENT_TICKS = 30
"""A process that has not said for so many ticks that it lives is killed; it says so every five seconds. Ticks are counted, and not the clock: if the whole
container is paused, so is this process."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 60.0
"""After so long a life the pause before the next start is the shortest again."""
READY, BEAT = b"r", b"."
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Reporter:
    """The end of a process's pipe to its supervisor."""

    descriptor: int

    def ready(self) -> None:
        """Say that this process serves."""
        self._write(READY)

    def beat(self) -> None:
        """Say that this process lives."""
        self._write(BEAT)

    def _write(self, what: bytes) -> None:
        with suppress(OSError):  # the supervisor is gone, or is paused and reads nothing
            os.write(self.descriptor, what)


Serve = Callable[[Reporter], int]
"""What a process runs: it serves, and returns its exit code."""


@dataclass(slots=True)
class _Child:
    pid: int
    pipe: int
    started_s: float
    is_ready: bool = False
    silent_ticks: int = 0


class Supervisor:
    """Runs processes that serve. Use it once, in a process without threads. `on_stop` is called when the processes are told to stop."""

    def __init__(
        self, serve: Serve, *, processes: int, stop_within_s: float, on_tick: Callable[[], None] = lambda: None, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._serve = serve
        self._on_tick = on_tick
        self._on_stop = on_stop
        self._processes = processes
        self._stop_within_s = stop_within_s
        self._children: dict[int, _Child] = {}
        self._has_served = False
        self._signals: list[signal.Signals] = []
        self._pause_s = SHORTEST_PAUSE_S
        self._next_start_s = 0.0
        self._next_tick_s = time.monotonic() + TICK_S
        self._exit_code: int | None = None
        self._poll = select.poll()
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Serve until a signal asks to stop, or no process can start; return the exit code."""
        for number in _STOPPING:
            signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only to wake up
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._poll.register(self._woken, select.POLLIN)
        for _ in range(self._processes):
            self._start()
        while self._exit_code is None and not self._signals:
            self._wait(TICK_S)
            self._end_silent()
            self._replace()
        return self._stop()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(signal.Signals(number))

    def _start(self) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become_child(Reporter(writing))
        os.close(writing)
        self._children[reading] = _Child(pid, reading, time.monotonic())
        self._poll.register(reading, select.POLLIN)

    def _become_child(self, reporter: Reporter) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_STOPPING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (self._woken, self._waker, *self._children):
                os.close(descriptor)
            code = self._serve(reporter)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            log.exception("a process of the API failed")
        finally:
            os._exit(code)

    def _wait(self, timeout_s: float) -> None:
        """Listen to the processes for up to `timeout_s`, and note those that have ended."""
        for descriptor, _ in self._poll.poll(timeout_s * 1000):
            with suppress(BlockingIOError):
                said = os.read(descriptor, 2**12)
                if not said:  # the process is ending
                    self._poll.unregister(descriptor)
                elif descriptor in self._children:
                    self._hear(self._children[descriptor], said)
        if time.monotonic() >= self._next_tick_s:
            self._next_tick_s = time.monotonic() + TICK_S
            for child in self._children.values():
                child.silent_ticks += 1
            self._on_tick()
        self._reap()

    def _hear(self, child: _Child, said: bytes) -> None:
        child.silent_ticks = 0
        if READY in said and not child.is_ready:
            child.is_ready = self._has_served = True
            log.info("a process of the API serves", process=child.pid)

    def _reap(self) -> None:
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                with suppress(KeyError):  # its end has been heard
                    self._poll.unregister(child.pipe)
                os.close(child.pipe)
                del self._children[child.pipe]
                self._note_end(child, os.waitstatus_to_exitcode(status))

    def _note_end(self, child: _Child, code: int) -> None:
        if self._signals or self._exit_code is not None:
            return
        if not child.is_ready and not (self._has_served and any(other.is_ready for other in self._children.values())):
            log.error("a process of the API cannot start", process=child.pid, exit_code=code)
            self._exit_code = code if code > 0 else 1
            return
        if time.monotonic() - child.started_s >= STEADY_S:
            self._pause_s = SHORTEST_PAUSE_S
        log.error("a process of the API has ended and is replaced", process=child.pid, exit_code=code, pause_s=self._pause_s)
        self._next_start_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _end_silent(self) -> None:
        for child in self._children.values():
            if child.silent_ticks > SILENT_TICKS:
                log.error("a process of the API hangs and is killed", process=child.pid)
                os.kill(child.pid, signal.SIGKILL)
                child.silent_ticks = 0

    def _replace(self) -> None:
        if self._exit_code is None and len(self._children) < self._processes and time.monotonic() >= self._next_start_s:
            self._start()

    def _stop(self) -> int:
        """Pass on the signals that come, and return the exit code when every process has ended; those that do not in time are killed."""
        if not self._signals:
            self._signals.append(signal.SIGTERM)
        log.info("the API stops", signal=self._signals[0].name)
        self._on_stop()
        due_s = time.monotonic() + self._stop_within_s
        while self._children:
            while self._signals:
                self._send(self._signals.pop(0))
            self._exit_code = self._exit_code or 0
            self._wait(min(TICK_S, 0.2))
            if time.monotonic() >= due_s:
                self._send(signal.SIGKILL)
        return self._exit_code or 0

    def _send(self, number: signal.Signals) -> None:
        for child in self._children.values():
            os.kill(child.pid, signal.SIGTERM if number == signal.SIGHUP else number)
