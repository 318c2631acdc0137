"""Asking the parts, each within its own bound, all at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from features.health import heartbeat
from features.health.schemas import HealthRead, PartHealth, WorkersHealth
from shared.db.session import ping

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.db.session import Database

TIMEOUT_S = 2.0

log = structlog.get_logger(__name__)


async def check_health(database: Database, redis: Redis) -> HealthRead:
    """The parts' health; takes at most a little more than `TIMEOUT_S`."""

    async def ping_database() -> None:
        async with database.unit_of_work() as session:
            await ping(session)

    async def ping_redis() -> None:
        await redis.ping()

    database_health, redis_health, workers = await asyncio.gather(
        _measure("database", ping_database),
        _measure("redis", ping_redis),
        _check_workers(redis),
    )
    is_healthy = database_health.status == redis_health.status == "healthy"
    return HealthRead(status="healthy" if is_healthy else "unhealthy", database=database_health, redis=redis_health, workers=workers)


async def _measure(name: str, ask: Callable[[], Awaitable[None]]) -> PartHealth:
    start = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await ask()
    except Exception as error:  # noqa: BLE001  # whatever its trouble is, the part does not answer
        log.warning("a part does not answer", part=name, reason=repr(error))
        return PartHealth(status="unhealthy", latency_ms=None)
    return PartHealth(status="healthy", latency_ms=round((time.perf_counter() - start) * 1000, 2))


async def _check_workers(redis: Redis) -> WorkersHealth:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            dispatcher_seen_at, worker_seen_at = await heartbeat.read(redis)
    except Exception:  # noqa: BLE001  # information only; the part itself is reported beside it
        return WorkersHealth(status="unknown")
    recent = datetime.now(UTC) - timedelta(seconds=heartbeat.SILENT_AFTER_S)
    is_alive = worker_seen_at is not None and worker_seen_at > recent
    return WorkersHealth(status="alive" if is_alive else "silent", dispatcher_seen_at=dispatcher_seen_at, worker_seen_at=worker_seen_at)
