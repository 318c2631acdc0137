"""The slice's tasks: run a job, and make an output of one."""

# ruff: noqa: PLC0415  # what reads files takes 60 MiB, which a dispatcher does without; workers load it before they fork
from __future__ import annotations

from functools import partial

from features.processing.machine_faults import leave_without_storage
from shared.contracts import MAKE_OUTPUT, PROCESS_JOB, MakeOutput, ProcessJob
from shared.jobs import job_state, output_state
from shared.messages.tasks import TaskContext, task

ENDING_S = 60.0
"""How long a job may take to end properly after its time is over; its reader may be in the middle of a chunk."""


@task(PROCESS_JOB, time_limit_s=lambda settings: settings.job_time_limit_s, ending_s=lambda _settings: ENDING_S, preload=["features.processing.run"])
async def process_job(context: TaskContext, payload: ProcessJob) -> None:
    """Claim the job if it is QUEUED, and bring it to an end."""
    from features.processing.run import run_job

    if not await leave_without_storage(context, partial(job_state.pass_on, job_id=payload.job_id)):
        await run_job(context, job_id=payload.job_id)


@task(MAKE_OUTPUT, time_limit_s=lambda settings: settings.job_time_limit_s, ending_s=lambda _settings: ENDING_S, preload=["features.processing.make_output"])
async def make_output_of_job(context: TaskContext, payload: MakeOutput) -> None:
    """Claim the output if it is QUEUED, and bring it to an end."""
    from features.processing.make_output import make_output

    if not await leave_without_storage(context, partial(output_state.pass_on, output_id=payload.output_id)):
        await make_output(context, output_id=payload.output_id)
