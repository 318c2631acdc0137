"""Show the output of several processes on one terminal: each line names its process, and no process can flood the others."""

from __future__ import annotations

import re
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LINES_PER_S = 10
ROUTINE = re.compile(r"\[info\s*\].*\[celery\.(beat|app\.trace|worker\.strategy)\]|^\s*$")
"""Routine lines that the schedule writes every few seconds; they are only in the log files."""
COLOURS = {"api": 36, "worker": 32, "dispatcher": 35}


@dataclass
class _Window:
    """Counts the lines of one process in the current second."""

    second: int = 0
    shown: int = 0
    hidden: int = 0


class Console:
    """Prints from any thread.

    Lines of processes are printed while `follow` is on; those beyond `LINES_PER_S` in one second are only counted. The log files have all of them.
    """

    def __init__(self, logs: Path) -> None:
        self.follow = False
        self._logs = logs
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._coloured = sys.stdout.isatty()
        self._encoding = sys.stdout.encoding or "utf-8"

    def say(self, text: str) -> None:
        """Print a text that comes from no process."""
        with self._lock:
            self._print(text)

    def show(self, name: str, line: str) -> None:
        """Print or count a line of the process `name`, unless it is routine or `follow` is off."""
        if not self.follow or ROUTINE.search(line):
            return
        now = int(time.monotonic())
        with self._lock:
            window = self._windows.setdefault(name, _Window())
            if window.second != now:
                if window.hidden:
                    self._print_line(name, f"… {window.hidden} more lines in {self._logs / name}.log")
                window.second, window.shown, window.hidden = now, 0, 0
            if window.shown < LINES_PER_S:
                window.shown += 1
                self._print_line(name, line)
            else:
                window.hidden += 1

    def _print_line(self, name: str, line: str) -> None:
        label = f"{name:<10} │"
        if self._coloured:
            label = f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m"
        self._print(f"{label} {line}")

    def _print(self, text: str) -> None:
        # A closed terminal must not keep the other processes from being stopped in order.
        with suppress(OSError):
            print(text.encode(self._encoding, "replace").decode(self._encoding), flush=True)  # noqa: T201  # printing is the purpose of this class
