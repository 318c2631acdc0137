"""End what a killed supervisor left behind.

Reads process groups, one id a line, from standard input. When the input ends the supervisor is gone, and with it whoever would have ended
these groups: they get a moment to end by themselves (the kernel told their leaders, see `launch.py`), then SIGKILL. After an orderly stop
there is nothing left to do. Only the standard library.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

PATIENCE_S = 2.0


def exists(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Wait for the end of the input, then for the end of the groups."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups = [int(line) for line in sys.stdin]
    if not sys.platform.startswith("linux"):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(group, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while any(map(exists, groups)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
