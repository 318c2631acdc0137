"""The contracts between slices: shared task references, their payloads, and events."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from shared.messages.refs import Payload, TaskRef

PROCESSING_QUEUE = "processing"
WEBHOOKS_QUEUE = "webhooks"
MAINTENANCE_QUEUE = "maintenance"


class ProcessJob(Payload):
    """Run this job if it is waiting."""

    job_id: uuid.UUID


PROCESS_JOB = TaskRef("processing.process_job", PROCESSING_QUEUE, ProcessJob)
"""Sent whenever a job becomes QUEUED. It is only a signal ("ring"): running it a second time does nothing."""


class PurgeJob(Payload):
    """Remove what this job no longer needs."""

    job_id: uuid.UUID


PURGE_JOB = TaskRef("errors.purge_job", MAINTENANCE_QUEUE, PurgeJob)
"""Removes, in batches, the error records of older attempts, and everything of a deleted job."""


class MakeOutput(Payload):
    """Make this output if it is waiting."""

    output_id: uuid.UUID


MAKE_OUTPUT = TaskRef("processing.make_output", PROCESSING_QUEUE, MakeOutput)
"""Sent whenever an output becomes QUEUED; a signal like `PROCESS_JOB`."""

EventName = Literal["job.completed", "job.failed", "job.cancelled"]


@dataclass(frozen=True)
class JobFinished:
    """A job's attempt has ended; published by `shared.jobs.job_state` in the transaction that ends it."""

    job_id: uuid.UUID
    attempt: int
    name: EventName


@dataclass(frozen=True)
class OutputsReady:
    """The last of the outputs that were asked for at upload is READY or FAILED; published by `shared.jobs.output_state` in the transaction that ends it.

    Published again if one of them is made anew.
    """

    job_id: uuid.UUID
    attempt: int
