"""A child process that reads a workbook which nobody trusts, seen from its parent: it is asked and answers in lines of JSON, and in bytes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.refusals import DAMAGED, TOO_SLOW
from shared.child_process import start_child

_BREAKING_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""What ends a process that reads broken data; any other death, such as a kill by the kernel for want of memory, is the machine's fault or our own."""
_MAX_COMPLAINT_BYTES = 2**16

log = structlog.get_logger(__name__)


class ReadingChild:
    """The process `python -m module DESCRIPTOR… ARGUMENT…`; it ends when its standard input closes, so also when this process ends for any reason."""

    def __init__(self, module: str, *arguments: str, descriptors: Sequence[int]) -> None:
        # In memory, since a pipe that nobody reads could stop the child (memfd_create is Linux').
        self._complaints = os.memfd_create("complaints") if hasattr(os, "memfd_create") else None
        self._process = start_child(module, *map(str, descriptors), *arguments, streams=subprocess.PIPE, complaints=self._complaints, pass_fds=descriptors)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process itself."""
        return self._process

    def ask(self, command: Mapping[str, int]) -> Any:  # noqa: ANN401 - JSON
        """Send a command, and return the first line of the answer. Raises like `read_line`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # It has ended; why, its last line or its status tells.
            return self.read_line()
        return self.read_line()

    def read_line(self) -> Any:  # noqa: ANN401 - JSON
        """Return the next line of the answer.

        Raises `FileUnreadable` if the child says that the file is, `OSError` if it says that the machine failed it, and `ChildProcessError` if it ends for
        a reason that says nothing about the file.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _describe_end(self._process.wait())
        value = json.loads(line)
        if isinstance(value, Mapping):
            if "unreadable" in value:
                raise FileUnreadable(value["unreadable"])
            if "failed" in value:
                raise OSError(value["failed"], os.strerror(value["failed"]))
        return value

    def read_bytes(self, count: int) -> bytes:
        """Return the next bytes of an answer that are no line. Raises like `read_line`."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise _describe_end(self._process.wait())
        return data

    def close(self) -> None:
        """End the process, and log where it failed if it complained; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        complaints, self._complaints = self._complaints, None
        if complaints is not None:
            said = os.pread(complaints, _MAX_COMPLAINT_BYTES, 0).decode(errors="replace")
            os.close(complaints)
            if said:
                # The rest may quote the workbook.
                frames = [line.strip() for line in said.splitlines() if line.startswith("  File ")]
                log.error("the process that reads a workbook complained", status=self._process.returncode, frames=frames)


def _describe_end(status: int) -> Exception:
    if status == -signal.SIGXCPU:
        return FileUnreadable(TOO_SLOW)
    if -status in _BREAKING_SIGNALS:
        return FileUnreadable(DAMAGED)
    return ChildProcessError(errno.ECHILD, f"The process that reads the workbook ended with status {status}.")
