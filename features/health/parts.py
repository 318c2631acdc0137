"""Ask all parts about their health at the same time, each within its own time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from features.health import heartbeat, queries
from features.health.schemas import DiskHealth, HealthDetails, HealthRead, MigrationHealth, PartHealth, StorageHealth, WorkersHealth
from shared.concurrency.ask import ask
from shared.db import migration_level
from shared.db.session import ping
from shared.version import VERSION
from shared.worker.presence import count_present

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.db.session import Database
    from shared.jobs.storage_guard import StorageGuard
    from shared.storage.base import Storage

TIMEOUT_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Answers:
    """The answers that a part gave before its time ran out; the round trip is measured first."""

    latency_ms: float | None = None
    version: str | None = None


@dataclass(slots=True)
class _DatabaseAnswers(_Answers):
    migration: MigrationHealth | None = None


@dataclass(slots=True)
class _RedisAnswers(_Answers):
    workers: WorkersHealth | None = None


@dataclass(slots=True)
class _DiskAnswers:
    space: DiskHealth | None = None


@dataclass(slots=True)
class _StorageAnswers:
    health: StorageHealth = field(default_factory=lambda: StorageHealth(status="unknown", reason=None))


async def check_health(database: Database, redis: Redis, storage: Storage, guard: StorageGuard) -> HealthRead:
    """Return the parts' health; takes at most slightly more than `TIMEOUT_S`."""
    of_database, of_redis, of_disk, of_storage = _DatabaseAnswers(), _RedisAnswers(), _DiskAnswers(), _StorageAnswers()
    await asyncio.gather(
        _listen("database", _ask_database(database, of_database)),
        _listen("redis", _ask_redis(redis, of_redis)),
        _listen("disk", _ask_disk(storage, of_disk)),
        _listen("storage", _ask_storage(guard, of_storage)),
    )
    parts = [_judge(answers) for answers in (of_database, of_redis)]
    if of_storage.health.status == "unknown" and parts[0].status == "healthy":
        of_storage.health = StorageHealth(status="unhealthy", reason=f"{storage.setting} does not answer in time.")
    return HealthRead(
        status="healthy" if all(part.status == "healthy" for part in parts) and of_storage.health.status != "unhealthy" else "unhealthy",
        database=parts[0],
        redis=parts[1],
        storage=of_storage.health,
        workers=of_redis.workers or WorkersHealth(status="unknown"),
        details=HealthDetails(
            version=VERSION,
            database_version=of_database.version,
            redis_version=of_redis.version,
            migration=of_database.migration,
            upload_disk=of_disk.space,
        ),
    )


async def _listen(part: str, questions: Coroutine[None, None, None]) -> None:
    try:
        await ask(questions, timeout_s=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  # whatever is wrong, what the part did not answer stays empty in its answers
        log.warning("a part does not answer", part=part, reason=repr(error))


def _judge(answers: _Answers) -> PartHealth:
    return PartHealth(status="unhealthy" if answers.latency_ms is None else "healthy", latency_ms=answers.latency_ms)


def _measure_ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)


async def _ask_database(database: Database, answers: _DatabaseAnswers) -> None:
    start = time.perf_counter()
    async with database.reading() as session:
        await ping(session)
        answers.latency_ms = _measure_ms(start)
        answers.version = await queries.get_server_version(session)
        level = await migration_level.get_database_level(session)
    status = await asyncio.to_thread(migration_level.judge_level, level)
    answers.migration = MigrationHealth(status=status, database_level=level, code_level=migration_level.get_code_level())


async def _ask_redis(redis: Redis, answers: _RedisAnswers) -> None:
    start = time.perf_counter()
    await redis.ping()
    answers.latency_ms = _measure_ms(start)
    answers.workers = await _check_workers(redis)
    answers.version = (await redis.info("server")).get("redis_version")


async def _check_workers(redis: Redis) -> WorkersHealth:
    dispatcher_seen_at, worker_seen_at = await heartbeat.read(redis)
    recent = datetime.now(UTC) - timedelta(seconds=heartbeat.SILENT_AFTER_S)
    is_alive = worker_seen_at is not None and worker_seen_at > recent
    return WorkersHealth(
        status="alive" if is_alive else "silent",
        dispatcher_seen_at=dispatcher_seen_at,
        worker_seen_at=worker_seen_at,
        workers_alive=await count_present(redis, role="worker"),
        dispatchers_alive=await count_present(redis, role="dispatcher"),
    )


async def _ask_disk(storage: Storage, answers: _DiskAnswers) -> None:
    space = await storage.measure_space()
    if space is not None:
        answers.space = DiskHealth(free_bytes=space.free_bytes, size_bytes=space.size_bytes)


async def _ask_storage(guard: StorageGuard, answers: _StorageAnswers) -> None:
    reason = await guard.find_problem(fresh=True)
    answers.health = StorageHealth(status="healthy" if reason is None else "unhealthy", reason=reason)
