"""The slice's only task: run a job."""

from __future__ import annotations

from features.processing.run import run_job
from shared.contracts import PROCESS_JOB, ProcessJob
from shared.messages.tasks import TaskContext, task

ENDING_S = 60.0
"""How long a job may take to end properly after its time is over; its reader may be in the middle of a chunk."""


@task(PROCESS_JOB, time_limit_s=lambda settings: settings.job_time_limit_s, ending_s=lambda _settings: ENDING_S)
async def process_job(context: TaskContext, payload: ProcessJob) -> None:
    """Claim the job if it is QUEUED, and bring it to an end."""
    await run_job(context, job_id=payload.job_id)
