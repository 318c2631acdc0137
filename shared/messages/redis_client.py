"""The asyncio Redis client, used for the service's own keys and to put messages into queues without kombu."""

from __future__ import annotations

from redis.asyncio import Redis

from shared.settings import Settings


def explain(error: BaseException) -> str:
    """Describe a Redis error for the log: redis-py's `repr` names a category but no reason."""
    return f"{type(error).__name__}: {error}"


def open_redis(settings: Settings) -> Redis:
    """Return a client whose every step is limited to `REDIS_TIMEOUT_S`; it connects on first use."""
    client: Redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        socket_keepalive=True,
        health_check_interval=10,
        decode_responses=True,
    )
    return client
