"""End the processes that a killed supervisor left behind.

Reads process groups from standard input, one on each line: `+ID` has begun, `-ID` has ended. When the input ends, the supervisor is gone and can no longer
end the rest. They get a moment to end by themselves (the kernel has signalled their leaders, see `launch.py`), then SIGKILL. After an orderly stop there is
nothing left to do. Uses only the standard library.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

PATIENCE_S = 2.0


def exists(group: int) -> bool:
    """Whether any process of this group still exists."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Wait for the end of the input, then end the groups."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
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
