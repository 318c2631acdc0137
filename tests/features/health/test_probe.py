"""The health check of containers: `python -m features.health dispatcher`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from features.health import heartbeat
from shared.messages.tasks import TaskContext
from tests.paths import ROOT


def ask(redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "features.health", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "REDIS_URL": redis_url}, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("seen_s_ago", "code", "says"), [(1, 0, ""), (heartbeat.SILENT_AFTER_S + 20, 1, "the dispatcher was last seen"), (None, 1, "the dispatcher was never seen")]
)
async def test_dispatcher_is_well_while_its_schedule_ticks(context: TaskContext, seen_s_ago: float | None, code: int, says: str) -> None:
    if seen_s_ago is not None:
        await context.redis.set(heartbeat.DISPATCHER_KEY, (datetime.now(UTC) - timedelta(seconds=seen_s_ago)).isoformat())
    done = ask(context.settings.redis_url, "dispatcher")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(says)
    assert ask(context.settings.redis_url, "worker").returncode == 1


def test_redis_that_is_away_and_wrong_names_are_told() -> None:
    away = ask("redis://127.0.0.1:1/0", "dispatcher")
    assert (away.returncode, "Redis does not answer" in away.stderr) == (1, True)
    assert ask("redis://127.0.0.1:1/0", "database").returncode == 2
