"""Install packages of Debian that the tests need and no wheel has; as root only, and within a limited time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

_LIST_S, _INSTALL_S = 60, 180


def install(*packages: str) -> str | None:
    """Install the packages; return why they cannot be, or None."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return f"it is not installed, and only root can do that with apt-get (Debian: apt-get install {' '.join(packages)})"
    commands: Sequence[tuple[int, list[str]]] = (
        (_LIST_S, [apt, "update", "-qq"]),
        (_INSTALL_S, [apt, "install", "-y", "-qq", "--no-install-recommends", *packages]),
    )
    for limit_s, command in commands:
        try:
            done = subprocess.run(  # noqa: S603  # fixed commands
                command, check=False, capture_output=True, text=True, timeout=limit_s, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
        except subprocess.TimeoutExpired:
            return f"'{' '.join(command[:2])}' took longer than {limit_s} s"
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no reason given"]
            return f"'{' '.join(command[:2])}' failed: {said[-1]}"
    return None
