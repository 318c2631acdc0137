from __future__ import annotations

import uuid

import httpx
import pytest
from fastapi import FastAPI

from features.events.feed import Feed
from features.events.streams import JobsStream
from shared.db.session import Database
from shared.web.auth import ANYONE
from tests.factories import Factory


async def test_ended_job_is_told_once_and_the_stream_ends(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job(external_id="order 1")
    answer = await client.get(f"/api/jobs/{job.id}/events")
    assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (200, "text/event-stream; charset=utf-8", "no-store")
    start, event, end = answer.text.split("\n\n")
    assert (start, end) == (": events follow\nretry: 1000", "")
    name, data, event_id = event.split("\n")
    assert (name, event_id) == ("event: job", f"id: {job.attempt}.1.0")
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    del shown["schema"]
    assert httpx.Response(200, text=data.removeprefix("data: ")).json() == shown


async def test_client_that_has_seen_the_end_is_told_to_stop(client: httpx.AsyncClient, factory: Factory) -> None:
    """A browser would connect again for ever; 204 tells it not to (HTML, section 9.2.3)."""
    job = await factory.ended_job()
    answer = await client.get(f"/api/jobs/{job.id}/events", headers={"Last-Event-ID": f"{job.attempt}.1.0"})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last_id", ["", "0.0.0", "nonsense", "1:2:3", "9" * 4000])
async def test_id_that_is_none_of_ours_counts_as_none(client: httpx.AsyncClient, factory: Factory, last_id: str) -> None:
    job = await factory.ended_job()
    answer = await client.get(f"/api/jobs/{job.id}/events", headers={"Last-Event-ID": last_id})
    assert answer.status_code == 200
    assert answer.text.count("event: job") == 1


async def test_id_of_any_length_is_refused(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job()
    answer = await client.get(f"/api/jobs/{job.id}/events", headers={"Last-Event-ID": "9" * 4001})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Last-Event-ID")


async def test_unknown_job_is_a_404(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/jobs/{uuid.uuid4()}/events")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")


async def test_too_many_streams_are_a_503(app: FastAPI, client: httpx.AsyncClient, factory: Factory, database: Database) -> None:
    job = await factory.ended_job()
    app.state.feed = feed = Feed(database, max_streams=1)
    stream = JobsStream(feed, database, viewer=ANYONE, seen=None)
    stream.open()
    answer = await client.get(f"/api/jobs/{job.id}/events")
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "/problems/too-many-streams", "5")
    stream.close()
    assert (await client.get(f"/api/jobs/{job.id}/events")).status_code == 200
    await feed.aclose()
