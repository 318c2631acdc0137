"""The connection pools fit: all processes together can open no more connections than PostgreSQL allows, and waiting for one has a time limit."""

from __future__ import annotations

import asyncio
import re
import time

import httpx
import pytest
from fastapi import FastAPI

from compose.services import MAX_CONNECTIONS
from shared.db.session import open_database
from shared.settings import Settings
from shared.worker.celery_settings import create_celery
from shared.worker.runtime import CHILD_POOL, DISPATCHER_POOL
from tests.compose_files import SERVICES
from tests.factories import Factory
from tests.paths import ROOT

WORKERS = 3
"""The number of workers that `docker compose up --scale worker=3` starts."""
RESERVED = 3
"""PostgreSQL's own superuser_reserved_connections."""
OWN_PROCESSES = 100
"""Room in the container for what is no connection: PostgreSQL's own processes, workers of parallel queries, the init, and checks of health."""


def find_number(path: str, pattern: str) -> int:
    [number] = set(re.findall(pattern, (ROOT / path).read_text()))
    return int(number)


@pytest.mark.parametrize(
    ("apis", "limit"),
    [(2, find_number("compose/database.yml", r"max_connections=(\d+)")), (1, MAX_CONNECTIONS)],
    ids=["compose", "make-run"],
)
def test_connections_of_every_shipped_configuration_fit(settings: Settings, apis: int, limit: int) -> None:
    api = apis * settings.api_processes * (settings.db_pool_size + settings.db_max_overflow)
    workers = WORKERS * create_celery(settings).conf.worker_concurrency * sum(CHILD_POOL.values())
    assert api + workers + sum(DISPATCHER_POOL.values()) + RESERVED < limit


def test_database_container_may_have_a_process_for_each_connection() -> None:
    assert SERVICES["db"]["pids_limit"] >= find_number("compose/database.yml", r"max_connections=(\d+)") + OWN_PROCESSES


async def test_waiting_for_a_connection_ends_in_a_503(app: FastAPI, client: httpx.AsyncClient, settings: Settings, factory: Factory) -> None:
    async def send(_: object) -> bool:
        return True

    small = settings.model_copy(update={"db_pool_timeout_s": 0.3})
    job = await factory.ended_job()
    before, app.state.database = app.state.database, open_database(small, send=send, application_name="t", pool_size=1, max_overflow=1)
    try:
        async with app.state.database.engine.connect() as first, app.state.database.engine.connect() as second:
            assert first.closed is second.closed is False
            start = time.monotonic()
            answers = await asyncio.gather(*(client.get(f"/api/jobs/{job.id}") for _ in range(5)), client.get("/api/jobs"))
            assert time.monotonic() - start < 20
        for answer in answers:
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(f"/api/jobs/{job.id}")).status_code == 200
    finally:
        await app.state.database.close()
        app.state.database = before


async def test_more_clients_than_connections_are_all_served(app: FastAPI, client: httpx.AsyncClient, settings: Settings, factory: Factory) -> None:
    async def send(_: object) -> bool:
        return True

    job = await factory.ended_job()
    before, app.state.database = app.state.database, open_database(settings, send=send, application_name="t", pool_size=2, max_overflow=1)
    try:
        answers = await asyncio.gather(*(client.get(f"/api/jobs/{job.id}") for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200}
    finally:
        await app.state.database.close()
        app.state.database = before
