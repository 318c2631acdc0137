"""Restore a backup into a service that has nothing yet, or read one to see whether it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from features.backup import programs, queries
from features.backup.archive import FILE_MODE, copy, read_backup
from features.backup.types import BackupFailed, Head, Manifest
from shared.db import migration_level, storage_identity
from shared.jobs.storage import TRASH_FOLDER, sync_folder
from shared.jobs.storage_marker import MARKER, write_marker

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.settings import Settings

SPOOL = ".restoring"
"""Folder in `UPLOAD_DIR` for the dump while the files are written."""
MOST_NAMES = 3


async def restore_backup(database: Database, settings: Settings, stream: IO[bytes]) -> Manifest:
    """Restore the backup in `stream`, files first, and return what is in it.

    Raises `BackupFailed` if the database has jobs, the folder has files, something still runs, or the backup is not whole; then nothing has changed. The
    database is restored in one transaction after every file is there, durable, and what it was; an API that starts meanwhile waits.
    """
    _require_empty_folder(settings.upload_dir)
    async with database.sole_migration() as sole:
        if not sole:
            raise BackupFailed("The database is being migrated, or restored by somebody else: wait until that has ended.")
        await _require_empty_database(database)
        spool = settings.upload_dir / SPOOL
        try:
            spool.mkdir(mode=0o700)
            with (spool / "sums").open("w+b") as sums:
                manifest = read_backup(stream, _Restoring(settings.upload_dir, spool / "dump"), sums)
            _sync_folders(settings.upload_dir)
            await _require_empty_database(database)
            await programs.restore(settings, spool / "dump", before=queries.DROP_OWN, after=queries.write_settlement(manifest))
        except BaseException:
            _remove_all(settings.upload_dir)
            raise
        shutil.rmtree(spool)
        await _mark(database, settings.upload_dir)
    return manifest


async def _mark(database: Database, upload_dir: Path) -> None:
    """Mark the folder as that of the restored database; one from before there were markers gets its id when it is migrated."""
    async with database.reading() as session:
        identity = await storage_identity.get_identity(session)
    try:
        if identity is not None:
            write_marker(upload_dir, identity.storage_id, replace=True)
        else:
            (upload_dir / MARKER).unlink(missing_ok=True)
    except OSError as error:
        raise BackupFailed(f"Everything is restored, but UPLOAD_DIR could not be marked: {error.strerror}. The command adopt does that.") from error


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

    def __init__(self, upload_dir: Path, dump: Path) -> None:
        self._upload_dir, self._dump = upload_dir, dump

    def take_dump(self, file: IO[bytes]) -> None:
        """See `Sink`."""
        _write(self._dump, file)

    def take_file(self, name: str, file: IO[bytes]) -> None:
        """See `Sink`."""
        path = self._upload_dir / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, file)


def _write(path: Path, file: IO[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as target:
            copy(file, target.write)
            target.flush()
            os.fsync(target.fileno())
    except FileExistsError as error:
        raise BackupFailed(f"The backup has a file twice: {path.name}.") from error
    except OSError as error:
        raise BackupFailed(f"A file cannot be written: {path.name}: {error.strerror}.") from error


def _sync_folders(upload_dir: Path) -> None:
    for folder, _, _ in os.walk(upload_dir):
        sync_folder(Path(folder))


def _list_contents(upload_dir: Path) -> list[Path]:
    """Return what lies in the folder; its marker and its trash are nothing, and neither are empty folders."""
    return [
        path
        for path in upload_dir.iterdir()
        if not path.name.startswith(MARKER) and path.name != TRASH_FOLDER and not (path.is_dir() and not any(path.iterdir()))
    ]


def _remove_all(upload_dir: Path) -> None:
    """Remove what was written to the folder, which was empty before."""
    for path in _list_contents(upload_dir):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _require_empty_folder(upload_dir: Path) -> None:
    try:
        upload_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = _list_contents(upload_dir)
    except OSError as error:
        raise BackupFailed(f"UPLOAD_DIR cannot be used: {error.strerror}.") from error
    if found:
        names = ", ".join(path.name for path in sorted(found)[:MOST_NAMES])
        raise BackupFailed(f"UPLOAD_DIR is not empty ({names}{' …' if len(found) > MOST_NAMES else ''}): a backup is restored into an empty one only.")


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
