"""Child processes: each has its own session, its output goes to a log file, and it is asked to end before it is killed."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

LAUNCH = Path(__file__).with_name("launch.py")
WARDEN = Path(__file__).with_name("warden.py")
LOG_FILE_BYTES = 20 * 2**20
LAST_LINES = 15

LineSink = Callable[[str, str], None]
"""Takes the name of a process and one line of its output."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program to run, and how to stop it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] | None = None
    """None means the environment of this process."""
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),)
    """Signals in the order in which they are tried, each with the seconds to wait after it; SIGKILL follows the last one."""
    orphan_signal: signal.Signals = signal.SIGTERM
    """The signal that the kernel sends to the program when this process dies (Linux)."""
    identity: str = "own"
    """See `launch.IDENTITIES`."""
    directory: Path | None = None


def launched(command: Command) -> list[str]:
    """Return the command line that starts `command` through `launch.py`, tied to this process."""
    tie = ["--die-by", command.orphan_signal.name, "--parent", str(os.getpid()), "--identity", command.identity]
    return [base_python(), "-I", "-S", str(LAUNCH), *tie, "--", *command.arguments]


def base_python() -> str:
    """Return the interpreter that the virtual environment is based on: it starts faster, and no packages are needed."""
    return getattr(sys, "_base_executable", None) or sys.executable


class Warden:
    """The process that ends the children of this one if it is killed; see `warden.py`. There is one for each process that has children."""

    def __init__(self, groups: Iterable[int]) -> None:
        self.owner = os.getpid()
        self.groups = set(groups)
        """The process groups that it would end."""
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            [base_python(), "-I", "-S", str(WARDEN)], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )
        atexit.register(self.close)
        for group in self.groups:
            self._tell(f"+{group}\n")

    def add(self, group: int) -> None:
        """Have the process group `group` ended if this process is killed."""
        self.groups.add(group)
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """Forget the process group `group`, which has ended."""
        self.groups.discard(group)
        self._tell(f"-{group}\n")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has been killed, so that nothing would clean up after this process."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Let it end."""
        if self.owner == os.getpid() and self._process.stdin is not None:
            with self._lock, suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, suppress(BrokenPipeError):
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.write(line)


_warden: Warden | None = None


def get_warden() -> Warden:
    """Return this process's warden, which is started when it is first needed, or if it has been killed."""
    global _warden  # noqa: PLW0603  # there is one for each process
    if _warden is None or _warden.owner != os.getpid():
        _warden = Warden(())
    elif _warden.has_ended():
        _warden = Warden(_warden.groups)
    return _warden


class Child:
    """One running child process. Start it from the main thread, because the kernel ties it to the thread that forked it."""

    def __init__(self, command: Command, *, log_file: Path, on_line: LineSink | None = None) -> None:
        self.command = command
        self.log_file = log_file
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._on_line = on_line
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603  # the commands are this project's own
            launched(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if command.environment is None else dict(command.environment),
            cwd=command.directory,
            start_new_session=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        get_warden().add(self.pid)
        self._reader = threading.Thread(target=self._keep_output, name=f"{command.name}-output", daemon=True)
        self._reader.start()

    @property
    def name(self) -> str:
        """The command's name."""
        return self.command.name

    @property
    def pid(self) -> int:
        """The id of the process, which is also the id of its session and its process group."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """Return None while the process runs, then its exit code, or minus the number of the signal that ended it."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, if it still exists."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self) -> None:
        """Stop the process and return when it is gone. Only the process itself is signalled: it knows in which order to end its own children."""
        for stop_signal, patience_s in self.command.stop_signals:
            if self._process.poll() is not None:
                break
            self.send(stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        self.kill()

    def kill(self) -> None:
        """Kill the process and the rest of its process group at once."""
        kill_group(self.pid)
        self._process.wait()
        get_warden().remove(self.pid)
        self._reader.join(timeout=2.0)

    def _keep_output(self) -> None:
        output = self._process.stdout
        if output is None:
            return
        handler = RotatingFileHandler(self.log_file, maxBytes=LOG_FILE_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace")
        with output:
            self._copy_lines(output, handler)
        handler.close()

    def _copy_lines(self, output: IO[str], handler: RotatingFileHandler) -> None:
        for line in output:
            text = line.rstrip("\r\n")
            self.last_lines.append(text)
            handler.handle(logging.makeLogRecord({"msg": text}))
            if self._on_line is not None:
                self._on_line(self.name, text)


def kill_group(pid: int) -> None:
    """Send SIGKILL to every process of the group `pid`; an empty group is not an error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], *, timeout_s: float, interval_s: float = 0.05) -> bool:
    """Wait until `condition` is true; return whether that happened within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval_s)
    return True
