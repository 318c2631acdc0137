"""The application's start and end, when the database does not answer and when what is closed fails."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.testing import capture_logs

from shared.db.errors import DatabaseUnavailable
from shared.db.session import Database
from shared.jobs.storage_guard import StorageGuard
from shared.messages.broker import Broker
from shared.messages.redis_client import open_redis
from shared.settings import Settings
from shared.storage.folder import FolderStorage


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), TimeoutError(), PoolTimeoutError(), OperationalError("", {}, OSError())], ids=repr)
async def test_database_that_does_not_answer_at_the_start_is_told_and_waited_for(
    app: FastAPI, clean: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def find_problem(_guard: StorageGuard) -> None:
        raise error

    monkeypatch.setattr(StorageGuard, "find_problem", find_problem)
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass
    told = [line for line in lines if line["event"] == "the stored files could not be compared with the database yet"]
    assert [line["log_level"] for line in told] == ["warning"]


async def test_whatever_fails_at_the_end_the_connections_are_closed(app: FastAPI, clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    async def watch(_guard: StorageGuard, *, every_s: float) -> None:
        raise ZeroDivisionError

    async def close_storage(_storage: FolderStorage) -> None:
        raise ZeroDivisionError

    async def close_database(_database: Database) -> None:
        closed.append("database")
        raise ZeroDivisionError

    class ClosingBroker(Broker):
        async def aclose(self) -> None:
            closed.append("broker")
            await super().aclose()

    def open_noting(settings: Settings) -> Redis:
        redis = open_redis(settings)
        close = redis.aclose

        async def note_and_close() -> None:
            closed.append("redis")
            await close()

        monkeypatch.setattr(redis, "aclose", note_and_close)
        return redis

    monkeypatch.setattr("main.open_redis", open_noting)
    monkeypatch.setattr(StorageGuard, "watch", watch)
    monkeypatch.setattr(FolderStorage, "aclose", close_storage)
    monkeypatch.setattr(Database, "close", close_database)
    monkeypatch.setattr("main.Broker", ClosingBroker)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0)  # the watch fails

    with pytest.raises(ZeroDivisionError):
        await run()
    assert closed == ["database", "redis", "broker"]
