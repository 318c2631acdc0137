"""Lists of very many jobs: totals are read rather than counted, and pages are found through an index."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select, text

from features.jobs import queries, tasks
from features.jobs.types import JobFilter
from shared.db.models import Job, JobCount, JobStatus
from shared.db.session import Database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.web.auth import Viewer
from tests.factories import Factory, use_keys

EVERYBODY = Viewer(name=None, sees_all=True)
JOBS = 20_000
FILL = f"""
INSERT INTO jobs (id, filename, file_size, file_type, sha256, submitted_by, status, created_at, completed_at, attempt)
SELECT gen_random_uuid(), 'a.csv', 1, 'csv', repeat('0', 64), CASE n % 3 WHEN 0 THEN 'ada' WHEN 1 THEN 'bob' END,
    (CASE n % 10 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'QUEUED' ELSE 'COMPLETED' END)::job_status,
    '2026-01-01Z'::timestamptz + n * interval '1 minute', '2026-01-01Z'::timestamptz + n * interval '1 minute', 1
FROM generate_series(1, {JOBS}) AS n
"""
PROGRESS = Progress(percent=50, rows_processed=3, rows_failed=1, total_rows=None, error_count=1, errors_stored=1, error_tally=[])


async def read_totals(database: Database) -> dict[tuple[str | None, JobStatus | None], int]:
    """Return every total that a client can ask for without dates."""
    viewers = [EVERYBODY, *(Viewer(name=name, sees_all=False) for name in ("ada", "bob", "nobody"))]
    async with database.unit_of_work() as session:
        return {
            (viewer.name, status): await queries.count_jobs(session, viewer=viewer, wanted=JobFilter(status=status))
            for viewer in viewers
            for status in (None, *JobStatus)
        }


async def count_totals(database: Database) -> dict[tuple[str | None, JobStatus | None], int]:
    """Return the same totals as `read_totals`, by counting the jobs."""
    async with database.unit_of_work() as session:
        rows = (await session.execute(select(Job.submitted_by, Job.status).where(Job.deleted_at.is_(None)))).all()
    counted = Counter((name, status) for row in rows for name in {None, row.submitted_by} for status in (None, row.status))
    return {(name, status): counted[name, status] for name in (None, "ada", "bob", "nobody") for status in (None, *JobStatus)}


async def test_totals_are_exact_whatever_happens_at_the_same_time(database: Database, factory: Factory, context: TaskContext) -> None:
    chance = random.Random(1)
    jobs = [await factory.job(content=None, submitted_by=chance.choice(["ada", "bob", None])) for _ in range(40)]

    async def act(job: Job) -> None:
        for _ in range(6):
            name = chance.choice(["claim", "finish", "cancel", "retry", "hide", "insert", "roll back", "fold"])
            async with database.unit_of_work() as session:
                if name == "claim":
                    await job_state.claim(session, lease_s=30)
                elif name == "finish":
                    await job_state.finish(session, job_id=job.id, attempt=1, progress=PROGRESS)
                elif name in {"cancel", "retry", "hide"}:
                    await getattr(job_state, name)(session, job_id=job.id)
                elif name == "insert":
                    session.add(Job(filename="b.csv", file_size=1, file_type="csv", sha256="", submitted_by="ada"))
                elif name == "roll back":
                    await job_state.claim(session, lease_s=30)
                    await session.rollback()
                else:
                    await queries.fold_counts(session)

    await asyncio.gather(*(act(job) for job in jobs))
    assert await read_totals(database) == await count_totals(database)
    async with database.unit_of_work() as session:
        await queries.fold_counts(session)
        rows = (await session.scalars(select(func.count()).select_from(JobCount))).one()
    assert rows <= 3 * len(JobStatus)
    assert await read_totals(database) == await count_totals(database)
    async with database.unit_of_work() as session:
        await session.execute(text("DELETE FROM jobs"))
    assert set((await read_totals(database)).values()) == {0}


async def test_many_counts_are_folded_by_and_by(database: Database, context: TaskContext, monkeypatch: pytest.MonkeyPatch, factory: Factory) -> None:
    monkeypatch.setattr(tasks, "FOLDED_FROM", 5)
    for expected in (1, 2, 3, 4, 1):
        await factory.job(content=None)
        await tasks.fold_counts(context, Nothing())
        async with database.unit_of_work() as session:
            assert await queries.count_unfolded(session, limit=100) == expected
    assert (await read_totals(database))[None, JobStatus.QUEUED] == 5


@pytest.fixture
async def many_jobs(settings: Settings, database: Database) -> AsyncIterator[None]:
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    try:
        await connection.execute("SET synchronous_commit = on")  # VACUUM does not mark rows of a commit that is not flushed as visible to all
        await connection.execute(FILL)
        await connection.execute("VACUUM (ANALYZE) jobs")
        yield
    finally:
        await connection.close()


PAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "ix_jobs_created_at_id"),
    ({"page": 390}, "ix_jobs_created_at_id"),
    ({"status": "FAILED"}, "ix_jobs_status_created_at_id"),
    ({"status": "FAILED", "page": 39}, "ix_jobs_status_created_at_id"),
    ({"status": "QUEUED", "from_date": "2026-01-08", "to_date": "2026-01-09"}, "ix_jobs_status_created_at_id"),
    ({"from_date": "2026-01-08", "to_date": "2026-01-09"}, "ix_jobs_created_at_id"),
    ({"to_date": "2026-01-03", "page": 40}, "ix_jobs_created_at_id"),
]
PAGES_OF_ONE_KEY: list[dict[str, Any]] = [{}, {"page": 100}, {"status": "FAILED", "page": 10}, {"from_date": "2026-01-08"}]


@pytest.mark.usefixtures("many_jobs")
async def test_page_is_found_in_an_index_and_its_jobs_alone_are_read(app: FastAPI, client: httpx.AsyncClient, database: Database) -> None:
    for params, index in PAGES:
        await assert_page(app, client, database, params, index)


@pytest.mark.usefixtures("many_jobs")
async def test_page_of_one_key_is_found_in_an_index(app: FastAPI, client: httpx.AsyncClient, database: Database) -> None:
    use_keys(app, "ada:" + "k" * 32)
    client.headers["X-API-Key"] = "k" * 32
    for params in PAGES_OF_ONE_KEY:
        await assert_page(app, client, database, params, "ix_jobs_submitted_by_created_at_id")


async def assert_page(app: FastAPI, client: httpx.AsyncClient, database: Database, params: dict[str, Any], index: str) -> None:
    statements: list[tuple[str, Any]] = []
    engine = app.state.database.engine.sync_engine

    @event.listens_for(engine, "before_cursor_execute")
    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT") and "storage" not in statement:  # whose the upload folder is, is looked at now and then
            statements.append((statement, parameters))

    answer = await client.get("/api/jobs", params={"page_size": 50, **params})
    event.remove(engine, "before_cursor_execute", remember)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["jobs"]) == 50
    [total, listed] = statements
    if not {"from_date", "to_date"} & set(params):
        assert "job_counts" in total[0]
        assert "FROM jobs" not in total[0]
    skipped = 50 * (params.get("page", 1) - 1)
    for statement, parameters in statements:
        scans = [node for node in await explain(database, statement, parameters) if node.get("Relation Name") == "jobs"]
        assert all(node["Node Type"] in {"Index Only Scan", "Index Scan"} for node in scans), scans
        assert sum(node.get("Heap Fetches", 0) for node in scans) == 0
        found = [node for node in scans if node["Node Type"] == "Index Only Scan"]
        assert {node["Index Name"] for node in found} <= {index}
        if statement == listed[0]:
            [skipping] = found
            # One more than the page has tells whether another page follows.
            assert skipping["Actual Rows"] == skipped + 51
            [reading] = [node for node in scans if node["Index Name"] == "pk_jobs"]
            assert reading["Actual Loops"] * reading["Actual Rows"] == 51


async def explain(database: Database, statement: str, parameters: Any) -> list[dict[str, Any]]:
    async with database.unit_of_work() as session:
        connection = await session.connection()
        plan = (await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)).scalar_one()
    return list_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def list_nodes(plan: Any) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in list_nodes(child))]
