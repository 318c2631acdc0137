"""Clean up after crashes: move files that belong to no job to the trash, and empty it after days."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from features.upload import metrics, queries
from shared.contracts import MAINTENANCE_QUEUE
from shared.jobs.storage import PARTIAL_SUFFIX, empty_trash, list_job_files, move_to_trash
from shared.jobs.storage_guard import get_guard
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

if TYPE_CHECKING:
    from shared.db.session import Database

SWEEP_FILES = TaskRef("upload.sweep_files", MAINTENANCE_QUEUE, Nothing)
UNTOUCHED_S = 900.0
BATCH_FILES = 1000

log = structlog.get_logger(__name__)


@task(SWEEP_FILES, every_s=300, time_limit_s=240)
async def sweep_files(context: TaskContext, _: Nothing) -> None:
    """Move files that have no job and have not been written to for a while to the trash: their upload died before its row was committed.

    Nothing is done unless the folder is the one of this database.
    """
    if await get_guard(context).find_problem(fresh=True) is not None:
        return
    folder = context.settings.upload_dir
    untouched_s = max(UNTOUCHED_S, 3 * context.settings.upload_idle_timeout_s)
    oldest = time.time() - untouched_s
    listed = await asyncio.to_thread(lambda: [entry for entry in list_job_files(folder) if entry[2] < oldest])
    for start in range(0, len(listed), BATCH_FILES):
        await _sweep(context.database, folder, [(job_id, path) for job_id, path, _changed in listed[start : start + BATCH_FILES]])
    days = context.settings.trash_retention_days
    if days > 0:
        emptied = await asyncio.to_thread(empty_trash, folder, days=days)
        if emptied:
            log.info("emptied the trash", files=emptied)


async def _sweep(database: Database, folder: Path, batch: Sequence[tuple[uuid.UUID, Path]]) -> None:
    async with database.unit_of_work() as session:
        known = await queries.list_known_ids(session, job_ids=[job_id for job_id, _path in batch])
    await asyncio.to_thread(_remove_unknown, folder, batch, known)


def _remove_unknown(folder: Path, batch: Sequence[tuple[uuid.UUID, Path]], known: Collection[uuid.UUID]) -> None:
    for job_id, path in batch:
        if job_id in known:
            continue
        try:
            if path.name.endswith(PARTIAL_SUFFIX):
                path.unlink()  # it never was a whole file
            else:
                move_to_trash(folder, path)
        except FileNotFoundError:
            continue
        except OSError as error:  # one file must not keep the others
            log.warning("a file without a job cannot be moved to the trash", job_id=str(job_id), reason=error.strerror)
        else:
            metrics.FILES_SWEPT.inc()
            log.info("a file without a job was moved to the trash", job_id=str(job_id), file=path.name)
