"""What a process writes to standard output and error beside its log: where the log is JSON, each such line becomes a line of the log.

Libraries print, interpreters write tracebacks, and settings can be wrong before the log is set up. Nothing here needs valid settings.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import re
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

from dotenv import dotenv_values

from shared.settings import SettingsInvalid, find_env_file
from shared.texts import shorten

Level = Literal["info", "warning", "error", "critical"]

STANDARD_ERROR = 2
_OWN = "rowgate: "
"""How the service's own last words begin."""
_TRACEBACK = "Traceback (most recent call last):"
_CONTINUED = ("During handling of the above exception", "The above exception was the direct cause")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/'\"?#\\]*@")
"""The part before the host of a URL: `user:password@`."""


def mask_credentials(text: str) -> str:
    """Mask user names and passwords of URLs in a text."""
    return _CREDENTIALS.sub("***@", text)


def is_json_wanted() -> bool:
    """Whether this process logs JSON, as LOG_FORMAT says in the environment or in the file of settings; by default it does unless at a terminal."""
    chosen = os.environ.get("LOG_FORMAT", "")
    with suppress(SettingsInvalid, OSError, UnicodeDecodeError):
        chosen = chosen or (dotenv_values(path).get("LOG_FORMAT") if (path := find_env_file()) else None) or ""
    return chosen == "json" or (chosen != "text" and not get_standard_error().isatty())


def write_line(event: str, *, level: Level = "error", logger: str = "rowgate", **more: Any) -> None:  # noqa: ANN401  # whatever is logged
    """Write one line to standard error at once, without the log: JSON where the log is JSON, else `rowgate: …`. May be called by a signal's handler."""
    with suppress(OSError):  # nobody reads it
        os.write(STANDARD_ERROR, (_make_line(event, level, logger, **more) if is_json_wanted() else mask_credentials(f"rowgate: {event}\n")).encode())


def _make_line(event: str, level: Level, logger: str, **more: Any) -> str:  # noqa: ANN401  # as above
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = {"timestamp": moment, "level": level, "event": shorten(event), "logger": logger, **more}
    return mask_credentials(json.dumps(line, default=str)) + "\n"


def take_over_output() -> None:
    """Make standard output and error of this process write lines of the log, if the log is JSON; may be called twice."""
    if is_json_wanted():
        sys.stdout = _take_over(sys.stdout, name="stdout", level="info")
        sys.stderr = _take_over(sys.stderr, name="stderr", level="warning")


def _take_over(stream: TextIO, *, name: str, level: Level) -> TextIO:
    return stream if isinstance(stream, _LoggedLines) else cast("TextIO", _LoggedLines(stream, name=name, level=level))


def get_standard_error() -> TextIO:
    """Return the stream that the log is written to: standard error as it was before `take_over_output`."""
    stream: object = sys.stderr
    return stream.original if isinstance(stream, _LoggedLines) else sys.stderr


class _LoggedLines(io.TextIOBase):
    """A stream that makes each line written to it a line of the log, and a traceback one line; lines that are JSON already pass."""

    def __init__(self, original: TextIO, *, name: str, level: Level) -> None:
        self.original = original
        self._name = name
        self._level = level
        self._threads = threading.local()  # no lock, which a forked child could inherit while another thread holds it
        atexit.register(self._finish)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("a text stream")
        *lines, self._threads.rest = (getattr(self._threads, "rest", "") + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)

    def _take(self, line: str) -> None:
        trace: list[str] | None = getattr(self._threads, "trace", None)
        if line.startswith(_TRACEBACK):
            self._threads.trace = [*(trace or ()), line]
        elif trace is None:
            self._put(line)
        elif line.startswith((" ", *_CONTINUED)) or not line:
            trace.append(line)
        else:
            self._threads.trace = None
            self._put(line, level="error", exception="\n".join([*trace, line]))

    def _put(self, line: str, *, level: Level | None = None, **more: str) -> None:
        if not line.strip():
            return
        if not _is_json(line):
            is_own = line.startswith(_OWN)
            line = _make_line(line.removeprefix(_OWN).rstrip(), "error" if is_own else level or self._level, "rowgate" if is_own else self._name, **more)
        self.original.write(line.rstrip("\n") + "\n")
        self.original.flush()

    def _finish(self) -> None:
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            self.write("\n")
            trace = getattr(self._threads, "trace", None)
            if trace is not None:
                self._put(trace[0], level="error", exception="\n".join(trace))
                self._threads.trace = None

    def flush(self) -> None:
        self.original.flush()

    def fileno(self) -> int:
        return self.original.fileno()

    def isatty(self) -> bool:
        return self.original.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # as of every text stream
        return self.original.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # as above
        return self.original.errors

    @property
    def buffer(self) -> Any:  # noqa: ANN401  # bytes pass as they are
        return self.original.buffer


def _is_json(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False
