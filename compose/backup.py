"""Back up or restore the local stack of `make run`; `python -m features.backup` does the work.

    python -m compose.backup create FILE     (make backup FILE=…; the stack may be running)
    python -m compose.backup restore FILE    (make restore FILE=…; the stack must not run, and have no data)

`RUN_DIR` (.local) is the stack's folder, and `STORAGE=s3` says that its files are in its store, as for `make run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from dotenv import dotenv_values

from compose.local import ROOT, StackFailed, chosen_run_dir, chosen_storage, only_one
from compose.object_store import start_store
from compose.services import ServiceFailed, start_postgres

ARGUMENTS = 2
EXIT_USAGE = 2


def main() -> int:
    """Run the command, and return its exit code."""
    if len(sys.argv) != ARGUMENTS + 1 or sys.argv[1] not in {"create", "restore"} or not sys.argv[2]:
        say("usage: make backup FILE=rowgate.tar, or make restore FILE=rowgate.tar")
        return EXIT_USAGE
    command, file = sys.argv[1], Path(sys.argv[2]).resolve()
    run_dir = chosen_run_dir()
    try:
        if command == "create" and (run_dir / "env").exists():
            return run(command, file, {name: value or "" for name, value in dotenv_values(run_dir / "env").items()})
        with only_one(run_dir), ExitStack() as servers:
            postgres = start_postgres(run_dir)
            servers.callback(postgres.stop)
            place = {"UPLOAD_DIR": str(run_dir / "uploads")}
            if chosen_storage() == "s3":
                store = start_store(run_dir)
                servers.callback(store.stop)
                place = store.list_settings()
            return run(command, file, {"DATABASE_URL": postgres.url, "REDIS_URL": "redis://127.0.0.1:1/0", **place})
    except (StackFailed, ServiceFailed, OSError) as problem:
        say(str(problem))
        return 1


def run(command: str, file: Path, places: dict[str, str]) -> int:
    """Run the backup's own command with the stack's database and folder."""
    environment = {**os.environ, "ENV_FILE": "", **places}
    return subprocess.run([sys.executable, "-m", "features.backup", command, str(file)], cwd=ROOT, env=environment, check=False).returncode  # noqa: S603


def say(line: str) -> None:
    """Print one line for whoever called it."""
    print(f"rowgate: {line}", file=sys.stderr)  # noqa: T201  # a command's report


if __name__ == "__main__":
    sys.exit(main())
