"""`make check-config`: check the settings that `make run`, or processes started by hand, would find. What `make run` sets by itself need not be there."""

from __future__ import annotations

import os
import sys

from compose.local import StackFailed, given_environment
from shared import check_config

PLACES = {"DATABASE_URL": "postgresql://127.0.0.1/", "REDIS_URL": "redis://127.0.0.1", "UPLOAD_DIR": os.devnull}
"""Of the servers and the folder of `make run`."""


def main() -> int:
    """Check the settings and print what was found; return the exit code."""
    try:
        environment = given_environment()
    except StackFailed as problem:
        sys.stderr.write(f"rowgate: {problem}\n")
        return 1
    places = {name.lower(): value for name, value in PLACES.items() if not environment.get(name) and not environment.get(f"{name}_FILE")}
    return check_config.run(given=places)


if __name__ == "__main__":
    sys.exit(main())
