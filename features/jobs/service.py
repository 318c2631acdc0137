"""Stop a job, delete it (a running one is cancelled instead), or change the details that belong to its client."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import structlog

from features.jobs.problems import AlreadyEnded, JobEnded
from features.jobs.queries import change_details
from shared.db.models import ENDED, Job
from shared.jobs import job_state
from shared.jobs.queries import require_job
from shared.storage.names import name_file, name_outputs
from shared.web.problems import BadRequest, InvalidPart
from shared.web.webhook_address import WebhookAddressRefused, require_acceptable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.jobs.schemas import JobUpdate
    from shared.db.session import Database
    from shared.settings import Settings
    from shared.storage.base import Storage
    from shared.web.auth import Viewer

REMOVE_S = 5.0
"""How long a client waits for the files of its job to go; what takes longer is left to the purge and the sweep."""

log = structlog.get_logger(__name__)

SHOWN = (Job.schema_given, Job.schema_inferred)
"""Deferred columns that a job is shown with."""


async def delete_job(database: Database, *, job_id: uuid.UUID, viewer: Viewer, storage: Storage) -> bool:
    """Cancel the job if it is PROCESSING; otherwise hide it and remove its file, and its rows are purged later. Raises `JobNotFound`.

    Returns whether it is gone, rather than cancelled.
    """
    while True:
        async with database.unit_of_work() as session:
            job = await require_job(session, job_id=job_id, viewer=viewer)
            if await job_state.cancel(session, job_id=job_id):
                return False
            # The job may have been claimed between the two statements. Then neither of them applies, and both are tried again.
            hidden = await job_state.hide(session, job_id=job_id)
        if hidden:
            try:
                async with asyncio.timeout(REMOVE_S):
                    await storage.remove(name_file(job.id, job.filename))
                    await storage.remove(name_outputs(job.id))
            except OSError as error:
                log.warning("the files of a deleted job are left to the purge and the sweep", job_id=str(job_id), reason=error.strerror)
            return True


async def stop_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer) -> Job:
    """Cancel a job that is QUEUED or PROCESSING, and return it. Raises `JobNotFound` or `AlreadyEnded`."""
    await require_job(session, job_id=job_id, viewer=viewer)
    is_cancelled = await job_state.cancel(session, job_id=job_id, even_if_queued=True)
    job = await require_job(session, job_id=job_id, viewer=viewer, load=SHOWN)
    if not is_cancelled:
        raise AlreadyEnded(f"This job is {job.status.value} already, so there is nothing to cancel.")
    return job


async def update_job(database: Database, *, job_id: uuid.UUID, viewer: Viewer, changes: JobUpdate, settings: Settings) -> Job:
    """Make all of the changes or none, and return the changed job.

    Raises `JobNotFound`, `JobEnded` if a webhook_url is given after the job has ended, or `BadRequest` if the webhook_url may not be called.
    """
    given = changes.model_dump(exclude_unset=True)
    if "labels" in given:
        given["labels"] = given["labels"] or {}
    async with database.reading() as session:
        job = await require_job(session, job_id=job_id, viewer=viewer, load=[] if given else SHOWN)
    if not given:
        return job
    if "webhook_url" in given and job.status in ENDED:
        raise _ended(job)
    if changes.webhook_url is not None:
        _require_acceptable(changes.webhook_url, settings)
    async with database.unit_of_work() as session:
        changed = await change_details(session, job_id=job_id, viewer=viewer, values=given)
        if changed is None:
            # It ended or was deleted a moment ago; if it was deleted, this raises `JobNotFound`.
            raise _ended(await require_job(session, job_id=job_id, viewer=viewer))
        return changed


def _ended(job: Job) -> JobEnded:
    return JobEnded(f"This job is {job.status.value}; its webhook_url can only be changed before it ends.")


def _require_acceptable(url: str, settings: Settings) -> None:
    try:
        require_acceptable(url, settings=settings)
    except WebhookAddressRefused as refused:
        raise BadRequest(str(refused), errors=[InvalidPart(field="webhook_url", message=str(refused))]) from refused
