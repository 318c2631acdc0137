"""Asking the parts, each within its own bound, all at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from features.health import heartbeat, queries
from features.health.ask import ask
from features.health.disk import DiskSpace, measure_disk
from features.health.schemas import DiskHealth, HealthDetails, HealthRead, MigrationHealth, PartHealth, WorkersHealth
from shared.db import migration_level
from shared.db.session import ping
from shared.presence import count_present
from shared.version import VERSION

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.db.session import Database

TIMEOUT_S = 2.0
T = TypeVar("T")

log = structlog.get_logger(__name__)


async def check_health(database: Database, redis: Redis, *, upload_dir: Path) -> HealthRead:
    """The parts' health; takes at most a little more than `TIMEOUT_S`."""
    database_health, redis_health, workers, database_details, redis_version, disk = await asyncio.gather(
        _measure("database", _ping_database(database)),
        _measure("redis", _ping_redis(redis)),
        _check_workers(redis),
        _ask_or_none(_describe_database(database)),
        _ask_or_none(_get_redis_version(redis)),
        _ask_or_none(measure_disk(upload_dir)),
    )
    is_healthy = database_health.status == redis_health.status == "healthy"
    database_version, migration = database_details or (None, None)
    return HealthRead(
        status="healthy" if is_healthy else "unhealthy",
        database=database_health,
        redis=redis_health,
        workers=workers,
        details=HealthDetails(
            version=VERSION,
            database_version=database_version,
            redis_version=redis_version,
            migration=migration,
            upload_disk=_describe_disk(disk),
        ),
    )


async def _ping_database(database: Database) -> None:
    async with database.unit_of_work() as session:
        await ping(session)


async def _ping_redis(redis: Redis) -> None:
    await redis.ping()


async def _measure(name: str, question: Coroutine[Any, Any, None]) -> PartHealth:
    start = time.perf_counter()
    try:
        await ask(question, timeout_s=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  # whatever its trouble is, the part does not answer
        log.warning("a part does not answer", part=name, reason=repr(error))
        return PartHealth(status="unhealthy", latency_ms=None)
    return PartHealth(status="healthy", latency_ms=round((time.perf_counter() - start) * 1000, 2))


async def _check_workers(redis: Redis) -> WorkersHealth:
    try:
        (dispatcher_seen_at, worker_seen_at), workers_alive, dispatchers_alive = await ask(_read_signs(redis), timeout_s=TIMEOUT_S)
    except Exception:  # noqa: BLE001  # information only; the part itself is reported beside it
        return WorkersHealth(status="unknown")
    recent = datetime.now(UTC) - timedelta(seconds=heartbeat.SILENT_AFTER_S)
    is_alive = worker_seen_at is not None and worker_seen_at > recent
    return WorkersHealth(
        status="alive" if is_alive else "silent",
        dispatcher_seen_at=dispatcher_seen_at,
        worker_seen_at=worker_seen_at,
        workers_alive=workers_alive,
        dispatchers_alive=dispatchers_alive,
    )


async def _read_signs(redis: Redis) -> tuple[tuple[datetime | None, datetime | None], int, int]:
    return await heartbeat.read(redis), await count_present(redis, role="worker"), await count_present(redis, role="dispatcher")


async def _ask_or_none(question: Coroutine[Any, Any, T]) -> T | None:
    """The answer; None where there is none: the part that it belongs to is reported for itself."""
    try:
        return await ask(question, timeout_s=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  # information only
        log.info("a detail of the health is not known", reason=repr(error))
        return None


async def _describe_database(database: Database) -> tuple[str, MigrationHealth]:
    async with database.unit_of_work() as session:
        version = await queries.get_server_version(session)
        level = await migration_level.get_database_level(session)
    status = await asyncio.to_thread(migration_level.judge_level, level)
    return version, MigrationHealth(status=status, database_level=level, code_level=migration_level.get_code_level())


async def _get_redis_version(redis: Redis) -> str | None:
    version: str | None = (await redis.info("server")).get("redis_version")
    return version


def _describe_disk(space: DiskSpace | None) -> DiskHealth | None:
    return None if space is None else DiskHealth(free_bytes=space.free_bytes, size_bytes=space.size_bytes)
