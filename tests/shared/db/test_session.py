from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from shared.db.models import JobStatus
from shared.db.session import SENT, Database
from shared.jobs import job_state
from shared.messages.outbox import Message
from tests.factories import Factory


@pytest.mark.parametrize("taken", [True, False])
async def test_messages_leave_when_what_they_speak_of_is_committed(database: Database, factory: Factory, taken: bool) -> None:
    seen: list[JobStatus] = []

    async def send(messages: Sequence[Message]) -> bool:
        job = await factory.get(uuid.UUID(str(messages[0].payload["job_id"])))
        assert job is not None
        seen.append(job.status)
        return taken

    job = await factory.ended_job(JobStatus.FAILED)
    async with Database(engine=database.engine, sessions=database.sessions, send=send).unit_of_work() as session:
        assert await job_state.retry(session, job_id=job.id)
    assert seen == [JobStatus.QUEUED]
    assert session.info[SENT] is taken


async def test_one_of_many_blocks_of_a_name_runs_at_a_time(database: Database) -> None:
    running = 0
    ran = 0

    async def run() -> None:
        nonlocal running, ran
        async with database.sole_run("sweep") as sole:
            if sole:
                running += 1
                assert running == 1
                await asyncio.sleep(0.2)
                running -= 1
                ran += 1

    await asyncio.gather(*(run() for _ in range(5)))
    assert ran == 1
    await run()
    assert ran == 2


async def test_blocks_of_different_names_run_beside_each_other(database: Database) -> None:
    async with database.sole_run("sweep") as first, database.sole_run("ring") as second:
        assert first
        assert second


async def test_lock_keeps_no_rows_from_being_vacuumed_and_is_not_lost_for_being_idle(database: Database) -> None:
    async with database.reading() as session:
        await session.execute(text("ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = 100"))
    await database.engine.dispose()
    try:
        async with database.sole_run("sweep") as sole, database.reading() as session:
            assert sole
            await asyncio.sleep(0.3)
            statement = "SELECT backend_xmin, backend_xid FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
            assert (await session.execute(text(statement))).one() == (None, None)
            async with database.sole_run("sweep") as second:
                assert not second
    finally:
        async with database.reading() as session:
            await session.execute(text("ALTER ROLE CURRENT_USER RESET idle_in_transaction_session_timeout"))
        await database.engine.dispose()
