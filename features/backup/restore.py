"""Restore a backup into a service that has nothing yet, or read one to see whether it is whole."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from features.backup import programs, queries
from features.backup.archive import copy, read_backup
from features.backup.types import BackupFailed, Head, Manifest
from shared.db import migration_level, storage_identity
from shared.storage.marker import write_marker
from shared.storage.names import MARKER, OUTPUTS_FOLDER

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.settings import Settings
    from shared.storage.base import Storage

MOST_NAMES = 3


async def restore_backup(database: Database, storage: Storage, settings: Settings, stream: IO[bytes]) -> Manifest:
    """Restore the backup in `stream`, files first, and return what is in it.

    Raises `BackupFailed` if the database has jobs, the store has files, something still runs, or the backup is not whole; then nothing has changed. The
    database is restored in one transaction after every file is there, durable, and what it was; an API that starts meanwhile waits.
    """
    await _require_empty_store(storage)
    async with database.sole_migration() as sole:
        if not sole:
            raise BackupFailed("The database is being migrated, or restored by somebody else: wait until that has ended.")
        await _require_empty_database(database)
        with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.spill_dir) as spool:
            restored: list[str] = []
            try:
                with (Path(spool) / "sums").open("w+b") as sums:
                    manifest = await asyncio.to_thread(read_backup, stream, _Restoring(storage, Path(spool) / "dump", restored), sums)
                await asyncio.to_thread(storage.finish_restore)
                await _require_empty_database(database)
                await programs.restore(settings, Path(spool) / "dump", before=queries.write_removal(), after=queries.write_settlement(manifest))
            except BaseException:
                await _remove_restored(storage, restored)
                raise
        await _mark(database, storage)
    return manifest


async def _remove_restored(storage: Storage, names: Sequence[str]) -> None:
    """Remove what was restored. A store that is away keeps some of it, and the next restore says that it is not empty."""
    for name in (*names, OUTPUTS_FOLDER):
        with suppress(OSError):
            await storage.remove(name)


async def _mark(database: Database, storage: Storage) -> None:
    """Mark the store as that of the restored database; one from before there were markers gets its id when it is migrated."""
    async with database.reading() as session:
        identity = await storage_identity.get_identity(session)
    try:
        if identity is not None:
            await write_marker(storage, identity.storage_id, replace=True)
        else:
            await storage.remove(MARKER)
    except OSError as error:
        raise BackupFailed(f"Everything is restored, but {storage.setting} could not be marked: {error.strerror}. The command adopt does that.") from error


def verify_backup(stream: IO[bytes]) -> Manifest:
    """Read a backup to its end, compare all of it with its hashes, and return what is in it. Raises `BackupFailed`."""
    with tempfile.TemporaryFile() as sums:
        return read_backup(stream, _Judging(), sums)


class _Judging:
    """Reads and keeps nothing."""

    def take_head(self, head: Head) -> None:
        """See `Sink`."""
        if migration_level.judge_level(head.level) == "ahead":
            raise BackupFailed(f"The backup was made by version {head.version}, which is newer than this one: restore it with that version.")

    def take_dump(self, file: IO[bytes]) -> None:
        """See `Sink`."""
        copy(file, len)

    def take_file(self, name: str, file: IO[bytes]) -> None:
        """See `Sink`."""
        del name
        copy(file, len)


class _Restoring(_Judging):
    """Writes the files where they were, and the dump to a place of its own."""

    def __init__(self, storage: Storage, dump: Path, restored: list[str]) -> None:
        """`restored` is given the name of each file before it is stored."""
        self._storage, self._dump, self._restored = storage, dump, restored

    def take_dump(self, file: IO[bytes]) -> None:
        """See `Sink`."""
        with self._dump.open("xb") as target:
            copy(file, target.write)

    def take_file(self, name: str, file: IO[bytes]) -> None:
        """See `Sink`."""
        self._restored.append(name)
        try:
            self._storage.restore_file(name, file)
        except FileExistsError as error:
            raise BackupFailed(f"The backup has a file twice: {name}.") from error
        except OSError as error:
            raise BackupFailed(f"A file cannot be written: {name}: {error.strerror}.") from error


async def _require_empty_store(storage: Storage) -> None:
    found: list[str] = []
    try:
        await storage.prepare()
        for listing in (storage.list_files(), storage.list_outputs()):
            async for files in listing:
                found += [each.name for each in files]
                if len(found) > MOST_NAMES:
                    break
    except OSError as error:
        raise BackupFailed(f"{storage.setting} cannot be used: {error.strerror}.") from error
    if found:
        names = ", ".join(sorted(found)[:MOST_NAMES])
        raise BackupFailed(f"{storage.setting} is not empty ({names}{' …' if len(found) > MOST_NAMES else ''}): a backup is restored into an empty one only.")


async def _require_empty_database(database: Database) -> None:
    async with database.reading() as session:
        others = await queries.list_others(session)
        has_jobs = await queries.has_jobs(session)
        foreign = await queries.list_foreign_tables(session)
    if foreign:
        raise BackupFailed(f"The database has tables of something else ({', '.join(foreign[:MOST_NAMES])}): a backup is restored into a database of its own.")
    if others:
        raise BackupFailed("The service is running: stop api, worker and dispatcher, and restore then.")
    if has_jobs:
        raise BackupFailed("The database has jobs: a backup is restored into an empty one only.")
