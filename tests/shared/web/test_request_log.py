"""The line of each request: who asked for what and how it ended; and the lines of what clients do to jobs."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.db.models import JobStatus
from shared.settings import Settings
from tests.factories import Factory

ALICE, BOSS = "alices-key-1234567", "bosses-key-1234567"
Lines = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_keys": f"alice:{ALICE},boss:{BOSS}:admin"})


@pytest.fixture
async def alice(client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.headers["X-API-Key"] = ALICE
    return client


@pytest.fixture
def lines(app: FastAPI, caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the lines so far whose event begins like this, with the level of each."""
    caplog.set_level(logging.DEBUG)

    def find(event: str) -> list[dict[str, Any]]:
        found = [record for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"].startswith(event)]
        return [{**record.msg, "level": record.levelname} for record in found]  # type: ignore[dict-item]  # checked above

    return find


async def test_request_is_logged_with_who_asked_and_for_which_job(alice: httpx.AsyncClient, lines: Lines) -> None:
    response = await alice.post("/api/files/upload?secret=4711", files={"file": ("a.csv", b"a\n1\n")}, headers={"X-Request-ID": "r1"})
    refused = await alice.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers={"X-Request-ID": "r1"})
    job_id = refused.json()["job_id"]
    await alice.get(f"/api/jobs/{job_id.upper()}", headers={"X-Request-ID": "r2"})
    unknown, made, shown = lines("request")
    assert response.status_code == unknown["status"] == 400
    common = {"client": "127.0.0.1", "key": "alice", "level": "INFO"}
    assert made.items() >= {**common, "method": "POST", "path": "/api/files/upload", "status": 202, "job_id": job_id, "request_id": "r1"}.items()
    assert shown.items() >= {**common, "method": "GET", "path": f"/api/jobs/{job_id.upper()}", "status": 200, "job_id": job_id, "request_id": "r2"}.items()
    assert shown["sent_bytes"] > 300
    assert shown["duration_ms"] > 0
    assert "4711" not in str(lines(""))
    assert ALICE not in str(lines(""))


async def test_request_without_a_valid_key_names_none(client: httpx.AsyncClient, lines: Lines) -> None:
    await client.get("/api/jobs", headers={"X-API-Key": "none-of-the-two-keys"})
    [line] = lines("request")
    assert (line["status"], line["client"]) == (401, "127.0.0.1")
    assert "key" not in line
    assert "none-of-the" not in str(line)


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/health/ready", "/metrics"])
async def test_what_watches_is_quiet(path: str, client: httpx.AsyncClient, lines: Lines) -> None:
    assert (await client.get(path)).status_code == (200 if path.startswith("/api") else 401)
    assert [line["level"] for line in lines("request")] == ["DEBUG"]


async def test_reads_can_be_left_out_but_nothing_else(settings: Settings, lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    from main import create_app

    quiet = create_app(settings.model_copy(update={"log_reads": False}))
    logging.getLogger().handlers = [caplog.handler]
    caplog.set_level(logging.DEBUG)
    async with quiet.router.lifespan_context(quiet), httpx.AsyncClient(transport=httpx.ASGITransport(app=quiet), base_url="http://rowgate") as client:
        client.headers["X-API-Key"] = ALICE
        await client.get("/api/jobs")
        await client.get("/api/jobs?page=0")
        await client.delete(f"/api/jobs/{uuid.uuid4()}")
    assert [(line["status"], line["level"]) for line in lines("request")] == [(200, "DEBUG"), (400, "INFO"), (404, "INFO")]


async def test_what_is_done_to_jobs_is_told_with_who_did_it(alice: httpx.AsyncClient, factory: Factory, lines: Lines) -> None:
    running = await factory.job(submitted_by="alice", status=JobStatus.PROCESSING, attempt=1)
    waiting = await factory.job(submitted_by="alice", content=b"a\n1\n")
    failed = await factory.job(submitted_by="alice", content=b"a\n1\n", status=JobStatus.FAILED)
    await alice.patch(f"/api/jobs/{waiting.id}", json={"labels": {"secret": "value"}, "external_id": "e"})
    await alice.delete(f"/api/jobs/{running.id}")
    await alice.post(f"/api/jobs/{waiting.id}/cancel")
    await alice.post(f"/api/jobs/{failed.id}/retry")
    again = (await alice.post(f"/api/jobs/{failed.id}/check-again")).json()["id"]
    await alice.delete(f"/api/jobs/{failed.id}", headers={"X-Request-ID": "r7"})
    told = lines("audit: ")
    assert [(line["event"], line["job_id"]) for line in told] == [
        ("audit: patch", str(waiting.id)),
        ("audit: cancel", str(running.id)),
        ("audit: cancel", str(waiting.id)),
        ("audit: retry", str(failed.id)),
        ("audit: check-again", str(failed.id)),
        ("audit: delete", str(failed.id)),
    ]
    assert {(line["key"], line["client"], line["level"]) for line in told} == {("alice", "127.0.0.1", "INFO")}
    assert told[0]["fields"] == ["external_id", "labels"]
    assert told[4]["new_job_id"] == again
    assert told[5]["request_id"] == "r7"
    assert "value" not in str(told)


async def test_what_is_refused_is_not_told_as_done(alice: httpx.AsyncClient, factory: Factory, lines: Lines) -> None:
    job = await factory.job(submitted_by="boss")
    for method, path in (("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/deliveries/redeliver"), ("POST", "/check-again")):
        assert (await alice.request(method, f"/api/jobs/{job.id}{path}")).status_code == 404
    assert len(lines("request")) == 5
    assert lines("audit: ") == []
