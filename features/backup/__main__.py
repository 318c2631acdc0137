"""Command line of backups.

python -m features.backup create [FILE]    write a backup, to standard output unless FILE is given
python -m features.backup verify [FILE]    read a backup and tell whether it is whole
python -m features.backup restore [FILE]   restore a backup into an empty database and folder
python -m features.backup adopt            mark the stored files as those of this database, whatever the marker says
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from features.backup.create import create_backup
from features.backup.restore import restore_backup, verify_backup
from features.backup.types import BackupFailed, Manifest
from shared.db import storage_identity
from shared.db.errors import is_database_unavailable
from shared.db.session import Database, open_database
from shared.jobs.storage_guard import StorageGuard
from shared.messages.outbox import Message
from shared.settings import Settings, get_settings
from shared.storage.base import Storage
from shared.storage.location import open_storage
from shared.storage.marker import write_marker

T = TypeVar("T")
COMMANDS = ("create", "verify", "restore", "adopt")
EXIT_FAILED = 1
THROUGH_POOLER = (
    "pg_dump changes settings of its connection, which a pooler would give to other clients: "
    "set DATABASE_URL to the server itself and DATABASE_POOLER=none for this command."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it was done, else 1 with one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m features.backup", description="Back up and restore the database together with its files.")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("file", nargs="?", type=Path, help="a tar file; standard input or output unless given")
    options = parser.parse_args(arguments)
    try:
        return _run(options.command, options.file)
    except BackupFailed as failed:
        _say(f"failed: {failed}")
    except BrokenPipeError:
        _say("failed: whatever took the backup has ended.")
    except OSError as error:
        _say(f"failed: {error.filename or 'the stream'}: {error.strerror}.")
    except Exception as error:
        if not is_database_unavailable(error):
            raise
        _say(f"failed: the database does not answer: {error}.")
    return EXIT_FAILED


def _run(command: str, path: Path | None) -> int:
    if command == "adopt":
        asyncio.run(_with_database(_adopt))
        return 0
    if command == "verify":
        with _open_input(path) as stream:
            manifest = verify_backup(stream)
    elif command == "restore":
        with _open_input(path) as stream:
            manifest = asyncio.run(_with_database(lambda database, storage, settings: restore_backup(database, storage, settings, stream)))
    else:
        with _open_output(path) as stream:
            manifest = asyncio.run(_with_database(lambda database, storage, settings: _create(database, storage, settings, stream)))
        if path is not None:
            with _open_input(path) as stream:
                verify_backup(stream)
    _report(command, manifest)
    return 0


async def _create(database: Database, storage: Storage, settings: Settings, stream: IO[bytes]) -> Manifest:
    problem = await StorageGuard(database, storage).find_problem(fresh=True)
    if problem is not None:
        raise BackupFailed(problem)
    return await create_backup(database, storage, settings, stream)


async def _adopt(database: Database, storage: Storage, _settings: Settings) -> None:
    async with database.unit_of_work() as session:
        identity = await storage_identity.get_identity(session)
        if identity is None:
            raise BackupFailed("The database has not been migrated yet: start the API once.")
        await _write_marker(storage, identity.storage_id)
        await storage_identity.note_marked(session)
    _say(f"{storage.setting} is marked as where the files of this database are ({identity.storage_id})")


async def _write_marker(storage: Storage, storage_id: uuid.UUID) -> None:
    try:
        await write_marker(storage, storage_id, replace=True)
    except OSError as error:
        raise BackupFailed(f"{storage.setting} cannot be marked: {error.strerror}.") from error


async def _with_database(function: Callable[[Database, Storage, Settings], Awaitable[T]]) -> T:
    settings = get_settings()
    if settings.database_pooler == "transaction":
        raise BackupFailed(THROUGH_POOLER)
    storage = open_storage(settings)
    database = open_database(settings, send=_refuse, application_name="rowgate-backup", pool_size=2, max_overflow=0)
    try:
        return await function(database, storage, settings)
    finally:
        await storage.aclose()
        await database.close()


async def _refuse(messages: Sequence[Message]) -> bool:
    raise AssertionError(messages)  # nothing here sends any


@contextmanager
def _open_input(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
    else:
        with path.open("rb") as stream:
            yield stream


@contextmanager
def _open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Give the stream to write to; a file has its name only once it is whole."""
    if path is None:
        if sys.stdout.isatty():
            raise BackupFailed("A backup is no text: name a file, or send it to one with >.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists():
        raise BackupFailed(f"{path} is there already; name another file.")
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("xb") as stream:
            partial.chmod(0o600)
            yield stream
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _report(command: str, manifest: Manifest) -> None:
    done = {"create": "backed up", "verify": "the backup is whole", "restore": "restored"}[command]
    _say(f"{done}: {manifest.rows.get('jobs', 0):,} jobs, {manifest.files:,} files of {manifest.bytes:,} bytes")
    if manifest.deleted_jobs:
        _say(f"{len(manifest.deleted_jobs):,} jobs were deleted while the files were copied; they are not restored")
    if manifest.jobs_without_file:
        _say(f"warning: {len(manifest.jobs_without_file):,} jobs have no file, the first of them {manifest.jobs_without_file[0]}")
    if manifest.damaged:
        _say(f"warning: {len(manifest.damaged):,} files are not what was stored, the first of them {manifest.damaged[0]}")


def _say(line: str) -> None:
    sys.stderr.write(f"rowgate: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
