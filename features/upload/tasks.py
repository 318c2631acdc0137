"""Clean up after crashes: remove files that belong to no job."""

from __future__ import annotations

import asyncio
import time

import structlog

from features.upload import queries
from shared.contracts import MAINTENANCE_QUEUE
from shared.jobs.storage import list_job_files, remove_file
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

SWEEP_FILES = TaskRef("upload.sweep_files", MAINTENANCE_QUEUE, Nothing)
UNTOUCHED_S = 900.0
BATCH_FILES = 1000

log = structlog.get_logger(__name__)


@task(SWEEP_FILES, every_s=300, time_limit_s=240)
async def sweep_files(context: TaskContext, _: Nothing) -> None:
    """Remove files that have no job and have not been written to for a while: their upload died before its row was committed."""
    untouched_s = max(UNTOUCHED_S, 3 * context.settings.upload_idle_timeout_s)
    oldest = time.time() - untouched_s
    listed = await asyncio.to_thread(lambda: [entry for entry in list_job_files(context.settings.upload_dir) if entry[2] < oldest])
    for start in range(0, len(listed), BATCH_FILES):
        batch = listed[start : start + BATCH_FILES]
        async with context.database.unit_of_work() as session:
            known = await queries.list_known_ids(session, job_ids=[job_id for job_id, _path, _changed in batch])
        for job_id, path, _changed in batch:
            if job_id in known:
                continue
            try:
                removed = await remove_file(path)
            except OSError as error:  # one file must not keep the others
                log.warning("a file without a job cannot be removed", job_id=str(job_id), reason=error.strerror)
            else:
                if removed:
                    log.info("removed a file without a job", job_id=str(job_id))
