from __future__ import annotations

import re
import time
import tomllib
import uuid

import httpx
import pytest
from fastapi import FastAPI

from features.health import tasks
from shared.db import migration_level
from shared.db.session import open_database
from shared.messages.outbox import Message
from shared.messages.redis_client import open_redis
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.version import VERSION
from tests.paths import ROOT, write_mark


async def _send(messages: object) -> bool:
    raise AssertionError


async def test_all_parts_answer(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/health")
    assert response.status_code == 200
    health = response.json()
    assert health["status"] == health["database"]["status"] == health["redis"]["status"] == "healthy"
    assert health["database"]["latency_ms"] > 0
    assert health["workers"]["status"] == "silent"
    details = health["details"]
    assert details["version"] == VERSION
    assert int(details["database_version"].split(".")[0]) >= 15
    assert int(details["redis_version"].split(".")[0]) >= 7
    assert details["migration"]["status"] == "current"
    assert details["migration"]["database_level"] == details["migration"]["code_level"]
    assert 0 < details["upload_disk"]["free_bytes"] < details["upload_disk"]["size_bytes"]


@pytest.mark.parametrize(
    ("level", "status"),
    [("0001", "behind"), ("9999", "ahead"), (None, "empty"), (migration_level.get_code_level(), "current")],
)
def test_level_of_the_database_is_judged_by_what_this_code_knows(level: str | None, status: str) -> None:
    assert migration_level.judge_level(level) == status


def test_version_is_written_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "shared.version.VERSION"}
    assert VERSION in re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


async def test_database_away_is_a_503_with_the_same_body(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    alive = app.state.database
    gone = settings.model_copy(update={"database_url": "postgresql+asyncpg://postgres@127.0.0.1:1/none"})
    app.state.database = open_database(gone, send=_send, application_name="t", pool_size=1, max_overflow=0)
    response = await client.get("/api/health")
    app.state.database = alive
    assert response.status_code == 503
    assert response.json()["status"] == "unhealthy"
    assert response.json()["database"] == {"status": "unhealthy", "latency_ms": None}
    assert response.json()["redis"]["status"] == "healthy"


async def test_redis_that_hangs_is_a_503_within_its_time(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    import asyncio

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    alive = app.state.redis
    app.state.redis = open_redis(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0", "redis_timeout_s": 60.0}))
    start = time.monotonic()
    response = await client.get("/api/health")
    taken_s = time.monotonic() - start
    await app.state.redis.aclose()
    app.state.redis = alive
    server.close()
    assert response.status_code == 503
    assert response.json()["redis"] == {"status": "unhealthy", "latency_ms": None}
    assert response.json()["workers"]["status"] == "unknown"
    assert taken_s < 20


async def test_live_answers_without_any_part(app: FastAPI, client: httpx.AsyncClient) -> None:
    database, redis = app.state.database, app.state.redis
    del app.state.database, app.state.redis
    response = await client.get("/api/health/live")
    app.state.database, app.state.redis = database, redis
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_heartbeat_shows_that_the_chain_works(client: httpx.AsyncClient, context: TaskContext, sent: list[Message]) -> None:
    await tasks.beat(context, Nothing())
    workers = (await client.get("/api/health")).json()["workers"]
    assert workers["dispatcher_seen_at"] is not None
    assert workers["status"] == "silent"
    [message] = sent
    assert (message.task, message.queue) == ("health.answer_beat", "processing")
    assert message.expires_s is not None
    await tasks.answer_beat(context, Nothing())
    workers = (await client.get("/api/health")).json()["workers"]
    assert workers["status"] == "alive"
    assert workers["worker_seen_at"].endswith("Z")


async def test_metrics_are_prometheus_text(client: httpx.AsyncClient) -> None:
    await client.get("/api/jobs")
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'rowgate_http_request_duration_seconds_count{method="GET",route="/api/jobs",status="200"}' in response.text


async def test_upload_folder_of_another_database_is_a_503_that_says_why(client: httpx.AsyncClient, settings: Settings) -> None:
    assert (await client.get("/api/health")).json()["storage"] == {"status": "healthy", "reason": None}
    write_mark(settings.upload_folder, uuid.uuid4())
    response = await client.get("/api/health")
    assert response.status_code == 503
    body = response.json()
    assert (body["status"], body["storage"]["status"], body["database"]["status"], body["redis"]["status"]) == ("unhealthy", "unhealthy", "healthy", "healthy")
    assert "belongs to another database" in body["storage"]["reason"]
    assert str(settings.upload_folder) not in response.text
    refused = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")})
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
