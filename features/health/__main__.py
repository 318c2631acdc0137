"""Health check for containers: `python -m features.health dispatcher` (or `worker`) exits 0 if the part was seen alive, else 1 with the reason."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from features.health import heartbeat
from shared.secret_files import read_secret_file

PARTS = ("dispatcher", "worker")
TIMEOUT_S = 4.0


async def find_trouble(part: str, redis_url: str) -> str | None:
    """Return why the part cannot be called alive; None if it is alive."""
    redis = Redis.from_url(redis_url, decode_responses=True, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        seen = dict(zip(PARTS, await heartbeat.read(redis), strict=True))[part]
    except (RedisError, OSError) as error:
        return f"Redis does not answer: {error!r}"
    finally:
        await redis.aclose()
    if seen is None:
        return f"the {part} was never seen"
    silent = datetime.now(UTC) - seen
    if silent > timedelta(seconds=heartbeat.SILENT_AFTER_S):
        return f"the {part} was last seen {silent.total_seconds():.0f} s ago"
    return None


def find_redis_url() -> str:
    """Return `REDIS_URL`, or what the file holds that `REDIS_URL_FILE` names; other settings are not read, which would take longer than the check."""
    path = os.environ.get("REDIS_URL_FILE")
    return read_secret_file(Path(path)) if path else os.environ["REDIS_URL"]


def main() -> int:
    """Run the check and return the exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:  # noqa: PLR2004  # the program and the part
        sys.stderr.write(f"usage: python -m features.health {'|'.join(PARTS)}\n")
        return 2
    trouble = asyncio.run(find_trouble(sys.argv[1], find_redis_url()))
    if trouble is not None:
        sys.stderr.write(f"{trouble}\n")
    return 0 if trouble is None else 1


if __name__ == "__main__":
    sys.exit(main())
