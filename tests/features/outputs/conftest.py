"""What tests of outputs share: jobs that have ended, and outputs that are made."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from features.processing.tasks import make_output_of_job, process_job
from shared.contracts import MAKE_OUTPUT, MakeOutput, ProcessJob
from shared.db.models import Job, Output
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from tests.factories import Factory

CSV = b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(1, 200)) + b"x,Linus\n"

MakeAll = Callable[[], Awaitable[None]]
EndedJob = Callable[..., Awaitable[Job]]


@pytest.fixture
def ended_job(context: TaskContext, factory: Factory) -> EndedJob:
    """Make a job and process it."""

    async def make(content: bytes = CSV, **values: Any) -> Job:
        job = await factory.job(content=content, **values)
        await process_job(context, ProcessJob(job_id=job.id))
        ended = await factory.get(job.id)
        assert ended is not None
        return ended

    return make


@pytest.fixture
def make_all(context: TaskContext, sent: list[Message]) -> MakeAll:
    """Run the messages of outputs that were sent since the last call."""

    async def make() -> None:
        messages = [message for message in sent if message.task == MAKE_OUTPUT.name]
        sent[:] = [message for message in sent if message.task != MAKE_OUTPUT.name]
        for message in messages:
            await make_output_of_job(context, MakeOutput.model_validate(message.payload))

    return make


async def list_rows(context: TaskContext, job_id: uuid.UUID) -> list[Output]:
    async with context.database.reading() as session:
        return list((await session.scalars(select(Output).where(Output.job_id == job_id).order_by(Output.name))).all())
