"""The asyncio client of Redis, for what is not a Celery message."""

from __future__ import annotations

from redis.asyncio import Redis

from shared.settings import Settings


def explain(error: BaseException) -> str:
    """What went wrong with Redis, for the log: redis-py's `repr` names a category and no reason."""
    return f"{type(error).__name__}: {error}"


def open_redis(settings: Settings) -> Redis:
    """A client whose every step is bounded by `REDIS_TIMEOUT_S`; it connects when it is first used."""
    client: Redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        socket_keepalive=True,
        health_check_interval=10,
        decode_responses=True,
    )
    return client
