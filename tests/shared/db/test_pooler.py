"""What the database's own code relies on, through a real PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from shared.current_secrets import current_secrets
from shared.db.errors import DatabaseUnavailable, is_database_unavailable
from shared.db.models import JobStatus
from shared.db.session import Database, open_database
from shared.messages.outbox import Message
from shared.settings import Settings
from tests.factories import Factory
from tests.pooler import running_pgbouncer

CONNECTIONS = 3


async def send(_: Sequence[Message]) -> bool:
    return True


@pytest.fixture
async def pooled(settings: Settings, clean: None) -> AsyncIterator[Database]:
    with running_pgbouncer(settings.database_url, server_connections=CONNECTIONS) as url:
        through = settings.model_copy(update={"database_url": url, "database_pooler": "transaction"})
        database = open_database(through, send=send, application_name="rowgate-tasks-4711", pool_size=12, max_overflow=0)
        yield database
        await database.close()


async def test_statements_of_many_clients_on_few_connections_are_their_own(pooled: Database, factory: Factory) -> None:
    job = await factory.ended_job(JobStatus.FAILED)

    async def ask(number: int) -> None:
        for _ in range(25):
            async with pooled.reading() as session:
                assert await session.scalar(text("SELECT CAST(:number AS int)"), {"number": number}) == number
                assert (await session.execute(text("SELECT id, status FROM jobs"))).one().id == job.id
            async with pooled.unit_of_work() as session:
                assert await session.scalar(text("SELECT CAST(:text AS text)"), {"text": str(number)}) == str(number)

    await asyncio.gather(*(ask(number) for number in range(12)))


async def test_rows_are_streamed_while_others_use_the_connections(pooled: Database) -> None:
    async with pooled.snapshot() as session:
        rows = await session.stream(text("SELECT generate_series(1, 5000) AS number").execution_options(yield_per=100))
        numbers = []
        async for row in rows:
            numbers.append(row.number)
            if row.number % 1000 == 0:
                async with pooled.reading() as other:
                    assert await other.scalar(text("SELECT 1")) == 1
    assert numbers == list(range(1, 5001))


async def test_one_block_of_a_name_runs_at_a_time_and_leaves_no_lock(pooled: Database, database: Database) -> None:
    async with pooled.sole_run("sweep") as first, pooled.sole_run("sweep") as second, pooled.sole_run("ring") as other:
        assert (first, second, other) == (True, False, True)
    for _ in range(5):
        async with pooled.sole_run("sweep") as sole:
            assert sole
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0
        names = (await session.scalars(text("SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE 'rowgate-tasks%'"))).all()
        assert names == ["rowgate-tasks"]


async def test_pooler_without_a_connection_to_give_is_a_database_that_is_away(settings: Settings, clean: None) -> None:
    with running_pgbouncer(settings.database_url, server_connections=1, query_wait_timeout="1") as url:
        through = settings.model_copy(update={"database_url": url, "database_pooler": "transaction"})
        database = open_database(through, send=send, application_name="rowgate-api", pool_size=2, max_overflow=0)

        async def ask() -> None:
            async with database.reading() as session:
                await session.execute(text("SELECT 1"))

        await ask()
        async with database.unit_of_work() as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(Exception, match=r"query_wait_timeout|closed") as raised:
                await ask()
            assert is_database_unavailable(raised.value)
        await ask()
        await database.close()


async def test_password_that_the_pooler_does_not_know_yet_is_tried_before_the_one_that_worked(settings: Settings, clean: None, tmp_path: Path) -> None:
    with running_pgbouncer(settings.database_url) as url:
        (file := tmp_path / "database-url").write_text(url)
        through = settings.model_copy(update={"database_url": url, "database_url_file": file, "database_pooler": "transaction"})
        secrets = current_secrets(through)
        assert secrets.database_urls() == [url]
        secrets.note_connected(url)
        place = urlsplit(url)
        file.write_text(url.replace(f":{place.password}@", ":changed@"))
        secrets.refresh("database_url")
        assert len(secrets.database_urls()) == 2
        database = open_database(through, send=send, application_name="rowgate-api", pool_size=1, max_overflow=0)
        async with database.reading() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        await database.close()


async def test_pooler_that_nothing_was_said_of_is_named(settings: Settings) -> None:
    with running_pgbouncer(settings.database_url) as url:
        database = open_database(settings.model_copy(update={"database_url": url}), send=send, application_name="rowgate-api", pool_size=1, max_overflow=0)
        with pytest.raises(DatabaseUnavailable, match="this is a pooler; set DATABASE_POOLER=transaction"):
            async with database.reading() as session:
                await session.execute(text("SELECT 1"))
        await database.close()
