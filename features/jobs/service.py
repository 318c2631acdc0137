"""Deleting: what runs is cancelled, everything else goes away."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from shared.jobs import job_state
from shared.jobs.queries import require_job
from shared.jobs.storage import remove_file, stored_path

if TYPE_CHECKING:
    from shared.db.session import Database
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
