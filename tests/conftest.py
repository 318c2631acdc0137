"""Give every test a real PostgreSQL (set up by the migrations) and a real Redis; each test begins with both empty."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from compose.object_store import Store
from shared import slices
from shared.db.session import Database, open_database
from shared.jobs import storage_guard
from shared.jobs.stored_files import get_storage
from shared.messages.broker import Broker
from shared.messages.outbox import Message
from shared.messages.redis_client import open_redis
from shared.messages.tasks import TaskContext
from shared.observing import tracing
from shared.settings import Settings
from shared.storage.base import Storage
from shared.storage.location import open_storage
from shared.storage.marker import write_marker
from tests.factories import Factory
from tests.paths import ROOT
from tests.services import Servers, running_servers, running_store

if TYPE_CHECKING:
    from tests.collector import Collector

# What is set for the service must not change what is tested: neither by `.env`, in this process or in those that tests start, nor in the environment.
os.environ["ENV_FILE"] = ""
for name in {field.upper() for field in Settings.model_fields} - {"DATABASE_URL", "REDIS_URL"}:
    os.environ.pop(name, None)
for name in [name for name in os.environ if name.startswith(("OTEL_", "FASTAPI_OTEL_"))]:
    del os.environ[name]

# Every process of the service loads these first, and modules that tests import read them.
slices.load_declarations("features")

TABLES = "jobs, deleted_jobs, error_pieces, outputs, submitter_turns, webhook_deliveries, webhook_attempts"
SLOW = ("tests/faults/", "tests/e2e/", "tests/compose/")
"""Folders that are slow as a whole; other tests are marked where they are."""
LONGEST = ("tests/faults/test_workers.py", "tests/contracts/test_plugins.py", "tests/faults/", "tests/e2e/")
LAST = "tests/e2e/test_page.py"
"""A browser takes the processors that tests of faults, which have deadlines, need at the same time."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Mark what is slow before the marks choose, and after the shuffling put what takes longest first if processes share the files."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    yield
    if hasattr(config, "workerinput"):
        items.sort(key=find_turn)


def find_turn(item: pytest.Item) -> int:
    """Return the place of a test among the others."""
    if item.nodeid.startswith(LAST):
        return len(LONGEST) + 1
    return next((place for place, prefix in enumerate(LONGEST) if item.nodeid.startswith(prefix)), len(LONGEST))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running_servers() as running:
        environment = {**os.environ, "DATABASE_URL": running.database_url, "REDIS_URL": running.redis_url, "UPLOAD_DIR": os.devnull}
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environment, check=True, timeout=60)
        yield running


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """A store that speaks S3, for tests that want one; each uses a prefix of its own."""
    with running_store() as running:
        yield running


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    upload_dir = tmp_path / "uploads"
    upload_dir.mkdir()
    return Settings(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        upload_dir=upload_dir,
        spill_dir=tmp_path,
        min_free_disk_bytes=0,
        webhook_allow_private_addresses=True,
    )


@pytest.fixture
async def clean(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    try:
        await connection.execute(f"TRUNCATE {TABLES}")
        # This folder is marked, and another that an API is given may be, since the database does not know of it.
        storage_id = await connection.fetchval("UPDATE storage SET marked_at = NULL RETURNING storage_id")
    finally:
        await connection.close()
    stored = open_storage(settings)
    await write_marker(stored, storage_id, replace=True)
    await stored.aclose()
    redis: Redis = open_redis(settings)
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture
def sent() -> list[Message]:
    """The messages that transactions of `database` sent after their commit."""
    return []


@pytest.fixture
async def database(settings: Settings, clean: None, sent: list[Message]) -> AsyncIterator[Database]:
    async def send(messages: Sequence[Message]) -> bool:
        sent.extend(messages)
        return True

    opened = open_database(settings, send=send, application_name="rowgate-tests", pool_size=5, max_overflow=5, command_timeout_s=30)
    yield opened
    await opened.close()


@pytest.fixture
async def context(settings: Settings, database: Database) -> AsyncIterator[TaskContext]:
    redis = open_redis(settings)
    made = TaskContext(settings=settings, database=database, redis=redis)
    yield made
    await get_storage(made).aclose()
    await redis.aclose()


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    opened = open_storage(settings)
    yield opened
    await opened.aclose()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, to which this process sends its traces."""
    from tests.collector import running_collector, stop_tracing

    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        tracing.prepare("rowgate-tests")
        yield running
        stop_tracing()


@pytest.fixture
def factory(database: Database, settings: Settings) -> Factory:
    return Factory(database, settings)


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    for name, value in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url), ("UPLOAD_DIR", str(settings.upload_dir or os.devnull))):
        monkeypatch.setenv(name, value)
    # It looks at the folder when somebody asks for it, and not in between: tests count statements and connections.
    monkeypatch.setattr(storage_guard, "API_WATCH_S", 3600.0)
    from main import create_app

    return create_app(settings)


@pytest.fixture
async def client(app: FastAPI, clean: None, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application in this process; messages that its transactions send are in `sent`."""
    import main

    class CollectingBroker(Broker):
        async def send(self, messages: Sequence[Message]) -> bool:
            return await database.send(messages)

    monkeypatch.setattr(main, "Broker", CollectingBroker)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://rowgate") as opened:
        yield opened
