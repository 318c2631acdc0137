"""If the database, Redis or the disk is unreachable or hangs, health and metrics answer in time and say which."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from features.health import gauges
from features.health import parts as checks
from shared.db.session import Database, open_database
from shared.messages.redis_client import open_redis
from shared.settings import Settings
from tests.faults.wire import Wire

MARGIN_S = 10.0
"""Time that a busy machine may take in addition; whatever hangs here does so for far longer."""
HANGS_S = 60.0
SHORT_S = 0.4
"""Replaces the two-second timeout in all tests but the first."""


async def _send(messages: object) -> bool:
    raise AssertionError


@asynccontextmanager
async def using(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Run the application with other database and Redis URLs."""
    before: tuple[Database, Any] = app.state.database, app.state.redis
    app.state.database = open_database(settings, send=_send, application_name="t", pool_size=4, max_overflow=0, command_timeout_s=HANGS_S)
    app.state.redis = open_redis(settings)
    try:
        yield
    finally:
        mine = app.state.database, app.state.redis
        app.state.database, app.state.redis = before
        await mine[0].close()
        await mine[1].aclose()


@asynccontextmanager
async def through_wire(app: FastAPI, settings: Settings, name: str) -> AsyncIterator[Wire]:
    """Run the application with a wire between it and the server of the setting `name`."""
    url = getattr(settings, name)
    port = urlsplit(url).port
    assert port is not None
    wire = Wire(port)
    async with using(app, settings.model_copy(update={name: url.replace(f":{port}/", f":{wire.port}/"), "redis_timeout_s": HANGS_S})):
        try:
            yield wire
        finally:
            await asyncio.to_thread(wire.close)  # closed first, so that everything that hangs ends


async def get(client: httpx.AsyncClient, path: str) -> tuple[httpx.Response, float]:
    start = time.monotonic()
    response = await client.get(path)
    return response, time.monotonic() - start


@pytest.mark.slow
async def test_database_that_hangs_is_a_503_in_time_and_is_well_again_at_once(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    async with through_wire(app, settings, "database_url") as wire:
        assert (await client.get("/api/health")).status_code == 200
        assert wire.fall_silent() > 0
        health, taken_s = await get(client, "/api/health")
        assert taken_s < checks.TIMEOUT_S + MARGIN_S
        assert health.status_code == 503
        assert health.json()["database"] == {"status": "unhealthy", "latency_ms": None}
        assert health.json()["redis"]["status"] == "healthy"
        details = health.json()["details"]
        assert (details["database_version"], details["migration"]) == (None, None)
        assert details["version"]
        assert details["redis_version"]
        assert details["upload_disk"]["free_bytes"] > 0
        assert (await client.get("/api/health")).status_code == 200
        assert wire.fall_silent() > 0
        metrics, taken_s = await get(client, "/metrics")
        assert taken_s < gauges.TIMEOUT_S + MARGIN_S
        assert metrics.status_code == 200
        assert "rowgate_database_up 0.0" in metrics.text
        assert "rowgate_redis_up 1.0" in metrics.text
        assert "rowgate_jobs{" not in metrics.text
        assert "rowgate_http_request_duration_seconds_count" in metrics.text


async def test_database_away_leaves_its_gauges_out(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    async with using(app, settings.model_copy(update={"database_url": "postgresql+asyncpg://postgres@127.0.0.1:1/none"})):
        metrics, taken_s = await get(client, "/metrics")
        assert taken_s < gauges.TIMEOUT_S + MARGIN_S
        assert metrics.status_code == 200
        assert "rowgate_database_up 0.0" in metrics.text
        for name in ("rowgate_jobs", "rowgate_oldest_queued_job_age_seconds", "rowgate_migration_current"):
            assert f"\n{name}" not in metrics.text


async def test_redis_that_hangs_costs_its_own_gauges_only(app: FastAPI, client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(gauges, "TIMEOUT_S", SHORT_S)
    async with through_wire(app, settings, "redis_url") as wire:
        assert (await client.get("/api/health")).status_code == 200
        assert wire.fall_silent() > 0
        health, taken_s = await get(client, "/api/health")
        assert taken_s < checks.TIMEOUT_S + MARGIN_S
        assert health.status_code == 503
        assert health.json()["redis"] == {"status": "unhealthy", "latency_ms": None}
        assert health.json()["database"]["status"] == "healthy"
        assert health.json()["workers"]["status"] == "unknown"
        assert health.json()["workers"]["workers_alive"] is None
        assert health.json()["details"]["migration"]["status"] == "current"
        assert (await client.get("/api/health")).status_code == 200
        assert wire.fall_silent() > 0
        metrics, taken_s = await get(client, "/metrics")
        assert taken_s < gauges.TIMEOUT_S + MARGIN_S
        assert "rowgate_redis_up 0.0" in metrics.text
        assert "rowgate_workers_alive" not in metrics.text
        assert 'rowgate_jobs{status="QUEUED"} 0.0' in metrics.text


async def test_disk_that_hangs_is_a_detail_that_is_not_known(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(checks, "TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: is_over.wait(HANGS_S))
    try:
        health, taken_s = await get(client, "/api/health")
    finally:
        is_over.set()
    assert taken_s < checks.TIMEOUT_S + MARGIN_S
    assert health.status_code == 200
    assert health.json()["details"]["upload_disk"] is None


async def test_pool_without_a_free_connection_is_told_in_time(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "TIMEOUT_S", SHORT_S)
    async with using(app, settings), app.state.database.engine.connect(), app.state.database.engine.connect():
        async with app.state.database.engine.connect(), app.state.database.engine.connect():
            health, taken_s = await get(client, "/api/health")
            assert taken_s < checks.TIMEOUT_S + MARGIN_S
            assert health.json()["database"]["status"] == "unhealthy"
        assert (await client.get("/api/health")).json()["database"]["status"] == "healthy"
