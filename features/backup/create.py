"""Make a backup: the database in one snapshot, then the files that it knows of, while everything goes on running."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from features.backup import programs, queries
from features.backup.archive import BackupWriter, Seekable
from features.backup.types import BackupFailed, FileEntry, Head, Manifest
from shared.db import migration_level
from shared.storage.base import FileReader, read_in_blocks
from shared.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.db.session import Database
    from shared.settings import Settings
    from shared.storage.base import Storage

BATCH_JOBS = 10_000
BLOCK_BYTES = 8 * 2**20
"""So much of a file is read at a time: a store is asked once for it."""


@dataclass(slots=True)
class _Missed:
    """Files that were not there, or are not what they were."""

    jobs: list[uuid.UUID] = field(default_factory=list)
    outputs: list[uuid.UUID] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


async def create_backup(database: Database, storage: Storage, settings: Settings, stream: IO[bytes]) -> Manifest:
    """Write a backup to `stream`, and return what is in it. Raises `BackupFailed`.

    Every file of a job is there before its job is, and stays until the job is deleted; so all jobs of the dump have their files, but those that are deleted
    while the files are copied. Room for the dump is needed in `SPILL_DIR`.
    """
    with (
        tempfile.TemporaryDirectory(prefix="backup-", dir=settings.spill_dir) as folder,
        tempfile.TemporaryFile(dir=folder) as sums,
        BackupWriter(stream, sums) as writer,
    ):
        dump, spool = Path(folder) / "dump", Path(folder) / "files"
        rows = await _read_database(database, settings, writer, dump=dump, spool=spool)
        dump_sha256 = writer.add_dump(dump)
        missed = _copy_files(writer, spool, storage)
        manifest = await _describe(database, writer, missed, rows=rows, dump_sha256=dump_sha256)
        writer.finish(manifest)
        return manifest


async def _read_database(database: Database, settings: Settings, writer: BackupWriter, *, dump: Path, spool: Path) -> Mapping[str, int]:
    """Write the head, and, from one snapshot of the database, its dump and the list of its files; return how many rows each table has."""
    async with database.snapshot() as session:
        snapshot = await queries.export_snapshot(session)
        level = await migration_level.get_database_level(session)
        if level is None:
            raise BackupFailed("The database is empty: there is nothing to back up.")
        writer.add_head(Head(created_at=datetime.now(UTC).isoformat(timespec="seconds"), version=VERSION, level=level))
        await programs.dump(settings, dump, snapshot=snapshot, server_version=await queries.get_server_version(session))
        with spool.open("w", encoding="utf-8") as lines:
            async for entry in queries.list_files(session):
                lines.write(entry.model_dump_json() + "\n")
        return await queries.count_rows(session)


def _copy_files(writer: BackupWriter, spool: Path, storage: Storage) -> _Missed:
    missed = _Missed()
    for entry in _read_spool(spool):
        try:
            with ExitStack() as opened:
                file = _open_whole(storage.open_reader(entry.path), spool.parent, opened)
                if writer.add_file(entry.path, file) != entry.sha256:
                    missed.damaged.append(entry.path)
        except FileNotFoundError:
            if entry.output_id is None:
                missed.jobs.append(entry.job_id)
            else:
                missed.outputs.append(entry.output_id)
        except OSError as error:
            raise BackupFailed(f"A file cannot be read: {entry.path}: {error.strerror}.") from error
    return missed


def _open_whole(reader: FileReader, folder: Path, opened: ExitStack) -> Seekable:
    """Return what reads a file to its end whatever happens to it meanwhile: once a member has begun, the backup cannot do without the rest of it."""
    file = opened.enter_context(read_in_blocks(reader, block_bytes=BLOCK_BYTES))
    if reader.survives_removal:
        return file
    copied = opened.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115  # closed with the stack
    shutil.copyfileobj(file, copied, BLOCK_BYTES)
    return copied


def _read_spool(spool: Path) -> Iterator[FileEntry]:
    with spool.open(encoding="utf-8") as lines:
        for line in lines:
            yield FileEntry.model_validate_json(line)


async def _describe(database: Database, writer: BackupWriter, missed: _Missed, *, rows: Mapping[str, int], dump_sha256: str) -> Manifest:
    """Tell jobs that were deleted meanwhile from those whose file is missing."""
    kept: set[uuid.UUID] = set()
    for start in range(0, len(missed.jobs), BATCH_JOBS):
        async with database.reading() as session:
            kept |= await queries.list_kept(session, job_ids=missed.jobs[start : start + BATCH_JOBS])
    return Manifest(
        rows=rows,
        files=writer.files,
        bytes=writer.bytes,
        dump_sha256=dump_sha256,
        deleted_jobs=[job_id for job_id in missed.jobs if job_id not in kept],
        jobs_without_file=[job_id for job_id in missed.jobs if job_id in kept],
        lost_outputs=missed.outputs,
        damaged=missed.damaged,
    )
