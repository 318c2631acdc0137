"""Deleting a job (one that runs is cancelled instead), and changing what its client may change."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from features.jobs.problems import JobEnded
from shared.db.models import Job
from shared.jobs import job_state
from shared.jobs.queries import change_details, require_job
from shared.jobs.storage import remove_file, stored_path
from shared.web.problems import BadRequest, InvalidPart
from shared.web.webhook_address import WebhookAddressRefused, require_acceptable

if TYPE_CHECKING:
    from features.jobs.schemas import JobUpdate
    from shared.db.session import Database
    from shared.settings import Settings
    from shared.web.auth import Viewer


async def delete_job(database: Database, *, job_id: uuid.UUID, viewer: Viewer, upload_dir: Path) -> None:
    """Cancel the job if it is PROCESSING, else hide it and remove its file; its rows are purged behind. Raises `JobNotFound`."""
    while True:
        async with database.unit_of_work() as session:
            job = await require_job(session, job_id=job_id, viewer=viewer)
            if await job_state.cancel(session, job_id=job_id):
                return
            # Between the two statements the job may have been claimed: then neither fits, and we look again.
            hidden = await job_state.hide(session, job_id=job_id)
        if hidden:
            await remove_file(stored_path(upload_dir, job.id, job.filename))
            return


async def update_job(database: Database, *, job_id: uuid.UUID, viewer: Viewer, changes: JobUpdate, settings: Settings) -> Job:
    """The job with the changes made, all or none.

    Raises `JobNotFound`, `JobEnded` for a new webhook_url after the job's end, or `BadRequest` for a webhook_url that may not be called.
    """
    given = changes.model_dump(exclude_unset=True)
    if "labels" in given:
        given["labels"] = given["labels"] or {}
    if changes.webhook_url is not None:
        await _require_acceptable(changes.webhook_url, settings)
    load = [Job.schema_given, Job.schema_inferred]
    async with database.unit_of_work() as session:
        await require_job(session, job_id=job_id, viewer=viewer)
        if given and not await change_details(session, job_id=job_id, values=given, until_ended="webhook_url" in given):
            # It ended, or was deleted, in this moment or before.
            job = await require_job(session, job_id=job_id, viewer=viewer)
            raise JobEnded(f"This job is {job.status.value}; its webhook_url can be changed until it has ended.")
        return await require_job(session, job_id=job_id, viewer=viewer, load=load)


async def _require_acceptable(url: str, settings: Settings) -> None:
    try:
        await require_acceptable(url, settings=settings)
    except WebhookAddressRefused as refused:
        raise BadRequest(str(refused), errors=[InvalidPart(field="webhook_url", message=str(refused))]) from refused
