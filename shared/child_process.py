"""Start Python processes that run what clients write, and give them what all of these need: a small environment, signals and limits of their own."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")


def start_child(module: str, *arguments: str, streams: int, complaints: int | None = None, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start `python -m module` in a session of its own; none of the service's secrets are in its environment.

    `streams` is `subprocess.PIPE` or `DEVNULL` for its standard input and output, `complaints` the same for its standard error (None: that of this process).
    """
    # A single malloc arena: each further one would count 64 MiB of address space towards the child's limit.
    environment = {"MALLOC_ARENA_MAX": "1"} | {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - it runs a module of this project
        [sys.executable, "-m", module, *arguments],
        stdin=streams,
        stdout=streams,
        stderr=complaints,
        pass_fds=pass_fds,
        cwd=_ROOT,
        env=environment,
        start_new_session=True,
    )


def prepare_child() -> None:
    """Called by such a process first: signals to the whole service do not end it, a limit of CPU time (`ITIMER_PROF`) does, and it dumps no memory."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    # The limit is of no use if its signal was ignored or blocked where the service was started.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF, signal.SIGCHLD])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
