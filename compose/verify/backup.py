"""A backup, restored into a stack that has nothing: the same to the row and to the byte, and it works."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx

from compose.local import ROOT
from compose.verify.jobs import make_csv, prove_end, send
from compose.verify.stack import Stack, require, say
from compose.verify.storage import run_docker

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
FILES = "cd /data/uploads && find . -path ./trash -prune -o -type f ! -name '.rowgate-storage*' -exec sha256sum {} + | sort -k 2"


def prove_backup(stack: Stack, client: httpx.Client, folder: Path, *, kept: str) -> None:
    """Back up a stack that has the job `kept`, remove all its data, and restore the backup; everything before and after is compared.

    Afterwards three workers run.
    """
    say("making a backup, removing everything, restoring the backup, and starting with three workers")
    file = folder / "rowgate.tar"
    stack.compose("stop", "worker", "dispatcher")  # so that what is compared does not change
    stack.compose("build", "--quiet", "backup")
    with file.open("wb") as output:
        pipe(stack, "run", "--rm", "-T", "backup", output=output)
    with file.open("rb") as source:
        pipe(stack, "run", "--rm", "-T", "backup", "verify", source=source)
    tables, files = read_tables(stack), stack.compose("exec", "-T", "api", "sh", "-c", FILES)
    require(kept in files, "The job's file is not where it is looked for.")
    stack.down()
    for volume in ("database", "uploads", "queue"):
        run_docker("volume", "rm", f"{stack.project}_{volume}")
    begun = datetime.now(UTC)
    stack.compose("up", "--detach", "--wait", "db", "redis")
    with file.open("rb") as source:
        pipe(stack, "run", "--rm", "-T", "backup", "restore", source=source)
    require(read_tables(stack) == tables, "The restored database has not the same rows.")
    with file.open("rb") as source:
        refused = pipe(stack, "run", "--rm", "-T", "backup", "restore", source=source, check=False)
    require("is not empty" in refused, f"A second restore was not refused: {refused}")
    stack.up("--scale", "worker=3")
    require(stack.compose("exec", "-T", "api", "sh", "-c", FILES) == files, "The restored files are not the same.")
    require(client.get("/api/health").json()["storage"]["status"] == "healthy", "The restored folder is not that of the restored database.")
    require(client.get(f"/api/jobs/{kept}").is_success, "A job was not restored.")
    require(client.get(f"/api/jobs/{kept}/outputs/valid.csv").is_success, "An output was not restored.")
    require(stack.health()["worker"] == ["healthy"] * 3, "There are not three healthy workers.")
    for job_id in [send(client, "table.csv", make_csv(20)) for _ in range(12)]:
        prove_end(client, job_id, rows=20)
    stack.require_quiet_logs(since=begun)


def pipe(stack: Stack, *arguments: str, source: object = subprocess.DEVNULL, output: object = subprocess.DEVNULL, check: bool = True) -> str:
    """Run `docker compose` between two files, and return what it said on standard error. Raises `Unproven` if it fails, unless `check` is off.

    Without `--progress quiet`, as operators run it: what Compose writes to standard output by itself would be seen in the file.
    """
    command = ["docker", "compose", *arguments]
    files = {"stdin": source, "stdout": output}
    result = subprocess.run(command, check=False, cwd=ROOT, env=stack.environment, stderr=subprocess.PIPE, **files)  # type: ignore[call-overload]  # noqa: S603  # our own command
    said = str(result.stderr.decode(errors="replace"))
    require(not check or result.returncode == 0, f"'docker compose {' '.join(arguments)}' failed: {said}")
    return said


def read_tables(stack: Stack) -> str:
    """Return every row of every table as text, in one order."""
    names = query(stack, TABLES).split()
    return "\n".join(query(stack, f'SELECT t::text FROM "{name}" AS t ORDER BY 1') for name in names)  # noqa: S608  # names of tables


def query(stack: Stack, statement: str) -> str:
    """Run a statement in the stack's database, and return the rows as lines."""
    return stack.compose("exec", "-T", "db", "psql", "-U", "rowgate", "-d", "rowgate", "-AtXc", statement)
