"""Ask for the outputs that were wanted at upload, in the transaction that ends their job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.outputs import queries
from shared.contracts import JobFinished
from shared.jobs import output_state
from shared.messages.events import subscribe
from shared.output_names import parse_output_name

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@subscribe(JobFinished)
async def ask_for_wanted(session: AsyncSession, event: JobFinished) -> None:
    """Insert the outputs that were asked for at upload, if the job's rows were read; of a cancelled job nothing is made unasked."""
    job = await queries.get_job(session, job_id=event.job_id)
    if job is None or job.source is None or event.name == "job.cancelled":
        return
    for name in dict.fromkeys(job.outputs_wanted):
        if parse_output_name(name) is not None:
            await output_state.ask(session, job_id=job.id, attempt=event.attempt, name=name, is_wanted=True)
