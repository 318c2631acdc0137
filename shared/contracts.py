"""The only words that slices share: task references and events."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from shared.messages.refs import Payload, TaskRef

PROCESSING_QUEUE = "processing"
WEBHOOKS_QUEUE = "webhooks"
MAINTENANCE_QUEUE = "maintenance"


class ProcessJob(Payload):
    """Look whether this job waits, and run it."""

    job_id: uuid.UUID


PROCESS_JOB = TaskRef("processing.process_job", PROCESSING_QUEUE, ProcessJob)
"""A doorbell: sent by whoever makes a job QUEUED; running it twice does nothing the second time."""


class PurgeJob(Payload):
    """Remove what this job no longer needs."""

    job_id: uuid.UUID


PURGE_JOB = TaskRef("errors.purge_job", MAINTENANCE_QUEUE, PurgeJob)
"""Removes error records of older attempts, and all of a deleted job, in batches."""

EventName = Literal["job.completed", "job.failed", "job.cancelled"]


@dataclass(frozen=True)
class JobFinished:
    """A job's attempt has ended; published by `shared.jobs.job_state` in the transaction that ends it."""

    job_id: uuid.UUID
    attempt: int
    name: EventName
