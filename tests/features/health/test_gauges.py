"""The gauges that are measured at each scrape."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text

from features.health import queries
from shared.db.models import JobStatus
from shared.db.session import Database
from shared.messages.redis_client import open_redis
from shared.settings import Settings
from shared.worker.presence import GONE_AFTER_S, Presence, make_key
from tests.factories import Factory


async def scrape(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """Return the samples' values, by name and label values."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(response.text)
    return {(sample.name, ",".join(sample.labels.values())): sample.value for family in families for sample in family.samples}


async def test_jobs_are_counted_by_status(client: httpx.AsyncClient, factory: Factory) -> None:
    await factory.ended_job()
    await factory.ended_job()
    await factory.ended_job(JobStatus.FAILED)
    await factory.job()
    samples = await scrape(client)
    counts = {status.value: samples["rowgate_jobs", status.value] for status in JobStatus}
    assert counts == {"QUEUED": 1, "PROCESSING": 0, "COMPLETED": 2, "FAILED": 1, "CANCELLED": 0}
    assert samples["rowgate_database_up", ""] == samples["rowgate_redis_up", ""] == samples["rowgate_migration_current", ""] == 1


async def test_oldest_queued_job_is_the_one_that_nobody_has_claimed(client: httpx.AsyncClient, factory: Factory) -> None:
    assert (await scrape(client))["rowgate_oldest_queued_job_age_seconds", ""] == 0
    now = datetime.now(UTC)
    await factory.job(created_at=now - timedelta(seconds=50))
    await factory.job(created_at=now - timedelta(seconds=100))
    await factory.job(created_at=now - timedelta(days=3), attempt=2)  # it was retried just now
    await factory.job(created_at=now - timedelta(days=4), deleted_at=now)
    await factory.ended_job(created_at=now - timedelta(days=5))
    age_s = (await scrape(client))["rowgate_oldest_queued_job_age_seconds", ""]
    assert 100 <= age_s < 130


async def test_oldest_queued_job_is_found_without_looking_at_the_others(factory: Factory, database: Database) -> None:
    async with database.unit_of_work() as session:
        insert = """
            INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, attempt, created_at)
            SELECT gen_random_uuid(), 'a.csv', 1, 'csv', '', '{}', {}, now() - n * interval '1 second' - interval '{} hour' FROM generate_series(1, {}) AS n
        """
        for status, attempt, hours, count in (("COMPLETED", 1, 9, 3000), ("QUEUED", 2, 5, 10), ("QUEUED", 0, 0, 500)):
            await session.execute(text(insert.format(status, attempt, hours, count)))
        await session.execute(text("ANALYZE jobs"))
        asked: list[tuple[str, tuple[object, ...]]] = []
        event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        assert await queries.get_oldest_wait_s(session) == 500
        connection = await session.connection()
        plan = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {asked[-1][0]}", asked[-1][1])
        lines = "\n".join(plan.scalars())
    pages = re.search(r"Buffers: shared hit=(\d+)", lines)
    assert pages, lines
    assert int(pages[1]) < 30, lines


async def test_messages_wait_in_their_queues(client: httpx.AsyncClient, settings: Settings) -> None:
    redis = open_redis(settings)
    await redis.lpush("processing", "a", "b")
    await redis.aclose()
    samples = await scrape(client)
    assert (samples["rowgate_queue_messages", "processing"], samples["rowgate_queue_messages", "webhooks"]) == (2, 0)


async def test_workers_are_counted_until_they_are_silent_or_say_goodbye(client: httpx.AsyncClient, settings: Settings) -> None:
    first, second = (Presence(settings, role="worker", name=name) for name in ("one", "two"))
    for presence in (first, second, Presence(settings, role="dispatcher", name="three")):
        presence.announce()
    samples = await scrape(client)
    assert (samples["rowgate_workers_alive", ""], samples["rowgate_dispatchers_alive", ""]) == (2, 1)
    workers = (await client.get("/api/health")).json()["workers"]
    assert (workers["workers_alive"], workers["dispatchers_alive"]) == (2, 1)
    first.withdraw()
    assert (await scrape(client))["rowgate_workers_alive", ""] == 1
    redis = open_redis(settings)
    await redis.zincrby(make_key("worker"), -GONE_AFTER_S - 1, "two")
    await redis.aclose()
    assert (await scrape(client))["rowgate_workers_alive", ""] == 0


async def test_connections_in_use_are_counted_and_given_back(client: httpx.AsyncClient, database: Database) -> None:
    before = (await scrape(client))["rowgate_db_pool_checked_out", ""]
    async with database.engine.connect(), database.engine.connect():
        assert (await scrape(client))["rowgate_db_pool_checked_out", ""] == before + 2
    assert (await scrape(client))["rowgate_db_pool_checked_out", ""] == before


async def test_connection_that_broke_is_given_back_as_well(client: httpx.AsyncClient, database: Database) -> None:
    before = (await scrape(client))["rowgate_db_pool_checked_out", ""]
    async with database.engine.connect() as connection:
        await connection.invalidate()
    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.invalidate()
        await connection.rollback()
        await connection.execute(text("SELECT 1"))
    assert (await scrape(client))["rowgate_db_pool_checked_out", ""] == before


async def test_methods_that_clients_invent_make_no_series(client: httpx.AsyncClient) -> None:
    await client.request("BREW", "/api/jobs")
    response = await client.get("/metrics")
    assert "BREW" not in response.text
    assert 'method="other"' in response.text
