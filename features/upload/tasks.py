"""Clean up after crashes: move files that belong to no job to the trash, and empty it after days."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from features.upload import metrics, queries
from shared.contracts import MAINTENANCE_QUEUE
from shared.jobs.storage_guard import get_guard
from shared.jobs.stored_files import get_storage
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task
from shared.storage.base import LISTED_FILES
from shared.storage.names import PARTIAL_SUFFIX, find_job_id
from shared.worker import shutdown

if TYPE_CHECKING:
    import uuid

    from shared.db.session import Database
    from shared.storage.base import Storage

SWEEP_FILES = TaskRef("upload.sweep_files", MAINTENANCE_QUEUE, Nothing)
UNTOUCHED_S = 900.0
SECOND_LOOK_S = 30.0
"""After so long a file without a job is looked at again if its age may count from its first byte: its job is inserted within seconds of its last one."""
LOOK_S = 0.5

log = structlog.get_logger(__name__)


@task(SWEEP_FILES, every_s=300, time_limit_s=240)
async def sweep_files(context: TaskContext, _: Nothing) -> None:
    """Move files that have no job and have not been written to for a while to the trash: their upload died before its row was committed.

    What never was a whole file is removed. Nothing is done unless the files are those of this database.
    """
    if await get_guard(context).find_problem(fresh=True) is not None:
        return
    storage = get_storage(context)
    untouched_s = max(UNTOUCHED_S, 3 * context.settings.upload_idle_timeout_s)
    try:
        await _sweep_all(context.database, storage, untouched_s=untouched_s, trash_days=context.settings.trash_retention_days)
    except OSError as error:
        log.warning("files without a job are looked for again later", reason=error.strerror, place=storage.place)


async def _sweep_all(database: Database, storage: Storage, *, untouched_s: float, trash_days: float) -> None:
    oldest = await storage.read_clock() - untouched_s
    strays: dict[str, uuid.UUID] = {}
    async for files in storage.list_files():
        old = {found.name: find_job_id(found.name) for found in files if found.changed_at < oldest and not found.name.endswith(PARTIAL_SUFFIX)}
        strays |= await _leave_out_known(database, {name: job_id for name, job_id in old.items() if job_id is not None})
    if strays and storage.ages_from_start:
        strays = await _leave_out_known(database, strays) if await _pause() else {}
    await _move(storage, strays)
    if trash_days > 0:
        emptied = await storage.empty_trash(days=trash_days)
        if emptied:
            log.info("emptied the trash", files=emptied)
    unfinished = await storage.remove_unfinished(untouched_s=untouched_s)
    if unfinished:
        metrics.FILES_SWEPT.inc(unfinished)
        log.info("removed uploads that were never completed", uploads=unfinished)


async def _move(storage: Storage, strays: Mapping[str, uuid.UUID]) -> None:
    for name, job_id in strays.items():
        try:
            await storage.move_to_trash(name)
        except FileNotFoundError:
            continue
        except OSError as error:  # one file must not keep the others
            log.warning("a file without a job cannot be moved to the trash", job_id=str(job_id), reason=error.strerror)
        else:
            metrics.FILES_SWEPT.inc()
            log.info("a file without a job was moved to the trash", job_id=str(job_id), file=name)


async def _leave_out_known(database: Database, ids: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """Return those files whose job is not in the database."""
    known: set[uuid.UUID] = set()
    asked = [*ids.values()]
    for start in range(0, len(asked), LISTED_FILES):
        async with database.unit_of_work() as session:
            known |= await queries.list_known_ids(session, job_ids=asked[start : start + LISTED_FILES])
    return {name: job_id for name, job_id in ids.items() if job_id not in known}


async def _pause() -> bool:
    """Wait until a job would have been inserted; False if this process has to end meanwhile."""
    until = time.monotonic() + SECOND_LOOK_S
    while (left_s := until - time.monotonic()) > 0:
        if shutdown.is_requested():
            return False
        await asyncio.sleep(min(LOOK_S, left_s))
    return True
