"""Ask for an output: say whether it can be made of this job, and have it made unless it is there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from features.outputs import queries
from features.outputs.metrics import ASKED
from features.outputs.problems import NoOutputs
from shared.db.models import ENDED, Job, Output, OutputStatus
from shared.jobs import output_state
from shared.output_names import OUTPUT_NAMES
from shared.storage.names import name_file, name_output

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.storage.base import Storage
    from shared.web.auth import Viewer

ERRORS = "errors."
"""Outputs whose names begin like this are made of stored records, without the job's file."""


async def ask_for(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, name: str, storage: Storage) -> Output:
    """Have the output made unless it is there, and return it. Raises `JobNotFound` or `NoOutputs`."""
    job = await queries.require_locked_job(session, job_id=job_id, viewer=viewer)
    reason = await find_reason_against(job, name=name, storage=storage)
    if reason is not None:
        raise NoOutputs(reason)
    output = await output_state.ask(session, job_id=job.id, attempt=job.attempt, name=name)
    if output.status is OutputStatus.READY and await storage.measure_file(locate(output)) is None:
        await output_state.lose(session, output_id=output.id, claim=output.claim)
        output = await output_state.ask(session, job_id=job.id, attempt=job.attempt, name=name)
    if output.status is not OutputStatus.READY:
        ASKED.labels(name).inc()
    return output


async def find_reason_against(job: Job, *, name: str, storage: Storage) -> str | None:
    """Return the sentence that says why the output cannot be made of the job; None if it can."""
    return await _find_reason(job, needs_file=_needs_file(name), storage=storage)


def _needs_file(name: str) -> bool:
    return not name.startswith(ERRORS)


async def _find_reason(job: Job, *, needs_file: bool, storage: Storage) -> str | None:
    if job.status not in ENDED:
        return f"This job is {job.status.value}; ask again when it has ended."
    if job.source is None:
        return f"This job ended before its rows were read, so there is nothing to take away: {job.error_message or 'it was cancelled'}"
    if needs_file and await storage.measure_file(name_file(job.id, job.filename)) is None:
        return "The file of this job is no longer stored; upload it again."
    return None


async def list_available(job: Job, *, storage: Storage) -> list[str]:
    """Return the names of the outputs that can be made of the job."""
    reasons = {needs_file: await _find_reason(job, needs_file=needs_file, storage=storage) for needs_file in (True, False)}
    return [name for name in OUTPUT_NAMES if reasons[_needs_file(name)] is None]


def locate(output: Output) -> str:
    """Return the name of the output's stored content."""
    return name_output(job_id=output.job_id, output_id=output.id, claim=output.claim, name=output.name)
