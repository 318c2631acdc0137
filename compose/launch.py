"""Start a program that dies with its parent and does not run as root; this does the steps needed between fork and exec.

    python launch.py [--die-by SIGNAL --parent PID] [--identity own|nobody|namespace] -- PROGRAM [ARGUMENT…]

It is a separate program rather than a `preexec_fn`, which is unsafe in a process with threads. It uses only the standard library and imports nothing of
this project, because it also has to start when the project's folder can no longer be read.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY = 65534

IDENTITIES = ("own", "nobody", "namespace")
"""The user that the program runs as: the caller; the user nobody; or nobody inside a user namespace, which outside of it is still the caller."""


def enter_user_namespace() -> None:
    """Become nobody in a new user namespace, in which nobody stands for the caller. Raises `OSError` if the kernel does not allow it."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "user namespace")
    # user_namespaces(7): an unprivileged process may not write a group map before it gives up setgroups.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")


def become_nobody() -> None:
    """Change from root to the user nobody, with no supplementary groups."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def die_with_parent(die_by: signal.Signals, parent: int) -> None:
    """Make the kernel send `die_by` to this process when its parent ends (on Linux; elsewhere this does nothing)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(die_by), 0, 0, 0)
    if os.getppid() != parent:  # the parent ended before the call above
        sys.exit(1)


def main() -> None:
    """Change identity, tie this process to its parent, and become the program."""
    parser = argparse.ArgumentParser(description="Start a program that dies with its parent and does not run as root.")
    parser.add_argument("--die-by", type=lambda name: signal.Signals[name], metavar="SIGNAL")
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--identity", choices=IDENTITIES, default="own")
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    if arguments.identity == "nobody":
        become_nobody()
    elif arguments.identity == "namespace":
        enter_user_namespace()
    if arguments.die_by is not None:  # last, because a change of identity clears it, prctl(2)
        die_with_parent(arguments.die_by, arguments.parent)
    os.execvp(arguments.program[0], arguments.program)  # noqa: S606  # the caller names the program, no shell is involved


if __name__ == "__main__":
    main()
