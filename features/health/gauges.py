"""Gauges that are measured at each scrape rather than counted: jobs by status, queues, workers, disk.

The queries are small, all run at the same time, and are given one second.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from prometheus_client.core import GaugeMetricFamily

from features.health import queries
from shared.concurrency.ask import ask
from shared.contracts import MAINTENANCE_QUEUE, OUTPUTS_QUEUE, PROCESSING_QUEUE, WEBHOOKS_QUEUE
from shared.db import migration_level
from shared.version import VERSION
from shared.worker.presence import count_present

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from shared.db.models import JobStatus
    from shared.db.session import Database
    from shared.storage.base import Space, Storage

TIMEOUT_S = 1.0
QUEUES = (PROCESSING_QUEUE, OUTPUTS_QUEUE, WEBHOOKS_QUEUE, MAINTENANCE_QUEUE)
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """The answers of the database."""

    jobs: Mapping[JobStatus, int]
    oldest_wait_s: float
    is_migrated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisState:
    """The answers of Redis."""

    messages: Mapping[str, int]
    workers_alive: int
    dispatchers_alive: int


async def collect_gauges(database: Database, redis: Redis, storage: Storage) -> Sequence[GaugeMetricFamily]:
    """Return the current gauges. If a part does not answer, its gauges are left out and its `rowgate_…_up` is 0 (the disk has none)."""
    database_state, redis_state, disk = await asyncio.gather(
        _ask_or_none("database", _ask_database(database)),
        _ask_or_none("redis", _ask_redis(redis)),
        _ask_or_none("disk", storage.measure_space()),
    )
    build = GaugeMetricFamily("rowgate_build_info", "Always 1; the labels say what runs", labels=["version", "python"])
    build.add_metric([VERSION, platform.python_version()], 1)
    return [build, *_describe_database(database_state), *_describe_redis(redis_state), *_describe_disk(disk)]


async def _ask_or_none(part: str, question: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await ask(question, timeout_s=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one part, the other parts' metrics are still wanted
        log.warning("a part did not provide its metrics", part=part, reason=repr(error))
        return None


async def _ask_database(database: Database) -> DatabaseState:
    async with database.reading() as session:
        jobs = await queries.count_jobs_by_status(session)
        oldest_wait_s = await queries.get_oldest_wait_s(session)
        level = await migration_level.get_database_level(session)
    standing = await asyncio.to_thread(migration_level.judge_level, level)
    return DatabaseState(jobs=jobs, oldest_wait_s=oldest_wait_s, is_migrated=standing == "current")


async def _ask_redis(redis: Redis) -> RedisState:
    async with redis.pipeline(transaction=False) as pipeline:
        for queue in QUEUES:
            pipeline.llen(queue)
        lengths = await pipeline.execute()
    return RedisState(
        messages=dict(zip(QUEUES, lengths, strict=True)),
        workers_alive=await count_present(redis, role="worker"),
        dispatchers_alive=await count_present(redis, role="dispatcher"),
    )


def _describe_database(state: DatabaseState | None) -> list[GaugeMetricFamily]:
    up = GaugeMetricFamily("rowgate_database_up", "Whether the database answered this scrape", value=state is not None)
    if state is None:
        return [up]
    jobs = GaugeMetricFamily("rowgate_jobs", "Jobs that clients see", labels=["status"])
    for status, count in state.jobs.items():
        jobs.add_metric([status.value], count)
    return [
        up,
        jobs,
        GaugeMetricFamily(
            "rowgate_oldest_queued_job_age_seconds",
            "How long the oldest job that no worker has claimed yet has been waiting; 0 if none waits",
            value=state.oldest_wait_s,
        ),
        GaugeMetricFamily("rowgate_migration_current", "Whether the database is migrated to the level of this code", value=state.is_migrated),
    ]


def _describe_redis(state: RedisState | None) -> list[GaugeMetricFamily]:
    up = GaugeMetricFamily("rowgate_redis_up", "Whether Redis answered this scrape", value=state is not None)
    if state is None:
        return [up]
    messages = GaugeMetricFamily("rowgate_queue_messages", "Messages that no process has taken yet; jobs are counted in rowgate_jobs", labels=["queue"])
    for queue, count in state.messages.items():
        messages.add_metric([queue], count)
    return [
        up,
        messages,
        GaugeMetricFamily("rowgate_workers_alive", "Workers that gave a sign of life within 35 s", value=state.workers_alive),
        GaugeMetricFamily("rowgate_dispatchers_alive", "Dispatchers that gave a sign of life within 35 s", value=state.dispatchers_alive),
    ]


def _describe_disk(space: Space | None) -> list[GaugeMetricFamily]:
    if space is None:
        return []
    return [
        GaugeMetricFamily("rowgate_upload_disk_free_bytes", "Room on the disk that uploads are written to", value=space.free_bytes),
        GaugeMetricFamily("rowgate_upload_disk_size_bytes", "Its size", value=space.size_bytes),
    ]
