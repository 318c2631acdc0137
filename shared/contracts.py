"""The contracts between slices: shared task references, their payloads, and events."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from shared.messages.refs import Payload, TaskRef

PROCESSING_QUEUE = "processing"
OUTPUTS_QUEUE = "outputs"
"""Workers of `processing` take from it too, in turns, so that outputs do not wait behind the messages of a thousand jobs."""
WEBHOOKS_QUEUE = "webhooks"
MAINTENANCE_QUEUE = "maintenance"


class ProcessJob(Payload):
    """A job waits: run the one whose turn it is, which need not be this one."""

    job_id: uuid.UUID


PROCESS_JOB = TaskRef("processing.process_job", PROCESSING_QUEUE, ProcessJob)
"""Sent whenever a job becomes QUEUED. It is only a signal ("ring"), and there is one for each job that waits: running it a second time finds nothing to do."""


class PurgeJob(Payload):
    """Remove what this job no longer needs."""

    job_id: uuid.UUID


PURGE_JOB = TaskRef("errors.purge_job", MAINTENANCE_QUEUE, PurgeJob)
"""Removes, in batches, the error records of older attempts, and everything of a deleted job."""


class MakeOutput(Payload):
    """An output waits: make the one whose turn it is, which need not be this one."""

    output_id: uuid.UUID


MAKE_OUTPUT = TaskRef("processing.make_output", OUTPUTS_QUEUE, MakeOutput)
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
