"""Receivers of webhooks that answer without end: each attempt costs little, holds little, and is over in its time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from features.webhooks.client import make_printable, post
from features.webhooks.deliver import ATTEMPT_S
from features.webhooks.models import DeliveryStatus
from features.webhooks.schemas import MAX_ATTEMPTS
from features.webhooks.types import AttemptResult, Failure
from shared.db.models import JobStatus
from shared.db.session import Database
from shared.texts import MAX_TEXT_CHARACTERS
from tests.factories import Factory
from tests.features.webhooks.test_client import claim, make_settings
from tests.hostile.process import count_descriptors, read_memory
from tests.paths import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is the judge")
ENDLESS = (
    "interim-flood",
    "interim-drip",
    "status-line",
    "header",
    "headers",
    "short-headers",
    "body",
    "tiny-chunks",
    "chunk-extension",
    "trailers",
    "drip-head",
)
CPU_S = 3.0
"""Processor time for a hundred attempts, several times what they take; one that is parsed until it is cut takes half of this alone."""
MEMORY_BYTES = 128 * 2**20


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.hostile.receivers"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


async def send(port: int, act: str, *, timeout_s: float = ATTEMPT_S) -> AttemptResult:
    return await post(claim(f"http://127.0.0.1:{port}/{act}"), settings=make_settings(), timeout_s=timeout_s)


async def test_endless_answers_cost_little_and_delay_nobody(port: int) -> None:
    await send(port, "thanks")
    cpu, held, descriptors = time.process_time(), read_memory(os.getpid()), count_descriptors(os.getpid())
    attempts = [asyncio.create_task(send(port, act)) for act in ENDLESS for _ in range(9)]
    while not all(attempt.done() for attempt in attempts):
        honest = await send(port, "thanks", timeout_s=20)  # what is judged is the processor's time, not the clock's
        assert (honest.status_code, honest.response_excerpt) == (200, "thanks")
    results = [attempt.result() for attempt in attempts]
    assert time.process_time() - cpu < CPU_S
    assert read_memory(os.getpid()) - held < MEMORY_BYTES
    async with asyncio.timeout(20):
        while count_descriptors(os.getpid()) > descriptors + 2:  # the test's own process may have opened others
            await asyncio.sleep(0.05)
    for result in results:
        assert len(result.error or "") <= MAX_TEXT_CHARACTERS
        assert (result.error or "").isprintable()
        assert (result.response_excerpt or "").isprintable()


@pytest.mark.parametrize(
    ("act", "status_code", "failure"),
    [
        ("interim-flood", None, Failure.CONNECTION),
        ("status-line", None, Failure.CONNECTION),
        ("header", None, Failure.CONNECTION),
        ("headers", None, Failure.CONNECTION),
        ("body", 200, None),
        ("tiny-chunks", 200, None),
        ("chunk-extension", 200, None),
        ("trailers", 200, None),
        ("few-interim", 200, None),
        ("binary", 200, None),
        ("long-reason", 200, None),
        ("retry-after-a-far-year", 200, None),
        ("retry-after-a-far-zone", 200, None),
        ("retry-after-long", 200, None),
    ],
)
async def test_each_is_recorded_for_what_it_is(port: int, act: str, status_code: int | None, failure: Failure | None) -> None:
    result = await send(port, act)
    assert (result.status_code, result.failure) == (status_code, failure), result.error
    for text in (result.error, result.response_excerpt):
        assert text is None or (len(text) <= MAX_TEXT_CHARACTERS and text.isprintable())


async def test_interim_answers_that_drip_are_cut_with_the_attempt(port: int) -> None:
    result = await send(port, "interim-drip")
    assert (result.status_code, result.failure) == (None, Failure.CONNECTION if "interim" in str(result.error) else Failure.TIMEOUT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü \N{PILE OF POO}", "plain ü \N{PILE OF POO}"),
        ("a\nb\t\x1b[31m\x00", "a\\nb\\t\\x1b[31m\\x00"),
        ("\ud800\u202e\u2028", "\\ud800\\u202e\\u2028"),
        ("x" * MAX_TEXT_CHARACTERS, "x" * MAX_TEXT_CHARACTERS),
        ("x" * (MAX_TEXT_CHARACTERS + 1), "x" * (MAX_TEXT_CHARACTERS - 1) + "…"),
        ("\0" * MAX_TEXT_CHARACTERS, ("\\x00" * MAX_TEXT_CHARACTERS)[: MAX_TEXT_CHARACTERS - 1] + "…"),
    ],
)
def test_text_is_kept_printable_and_short(text: str, shown: str) -> None:
    assert make_printable(text) == shown


async def test_only_the_last_attempts_are_shown(client: httpx.AsyncClient, database: Database, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.COMPLETED, webhook_url="http://127.0.0.1:1/")
    older = await insert_delivery(database, job.id, attempts=MAX_ATTEMPTS + 30, status=DeliveryStatus.REJECTED)
    newer = await insert_delivery(database, job.id, attempts=2, status=DeliveryStatus.DELIVERED)
    shown = (await client.get(f"/api/jobs/{job.id}/deliveries")).json()["deliveries"]
    assert [delivery["id"] for delivery in shown] == [newer, older]
    assert [attempt["number"] for attempt in shown[0]["attempts"]] == [1, 2]
    assert [attempt["number"] for attempt in shown[1]["attempts"]] == list(range(31, MAX_ATTEMPTS + 31))


async def test_answer_stays_small_however_many_deliveries_there_are(client: httpx.AsyncClient, database: Database, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.COMPLETED, webhook_url="http://127.0.0.1:1/")
    for _ in range(25):
        await insert_delivery(database, job.id, attempts=MAX_ATTEMPTS, status=DeliveryStatus.REJECTED)
    shown = (await client.get(f"/api/jobs/{job.id}/deliveries")).json()["deliveries"]
    assert [len(delivery["attempts"]) for delivery in shown] == [MAX_ATTEMPTS] * 20 + [0] * 5


async def test_delivery_that_is_pending_is_not_sent_again(client: httpx.AsyncClient, database: Database, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.COMPLETED, webhook_url="http://127.0.0.1:1/", completed_at=datetime.now(UTC))
    await insert_delivery(database, job.id, attempts=1, status=DeliveryStatus.PENDING)
    response = await client.post(f"/api/jobs/{job.id}/deliveries/redeliver")
    assert (response.status_code, response.headers["content-type"]) == (409, "application/problem+json")
    assert response.json()["type"] == "/problems/delivery-pending"
    await insert_delivery(database, job.id, attempts=1, status=DeliveryStatus.DELIVERED)
    answers = await asyncio.gather(*(client.post(f"/api/jobs/{job.id}/deliveries/redeliver") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]


async def insert_delivery(database: Database, job_id: Any, *, attempts: int, status: DeliveryStatus) -> str:
    """Insert a delivery, newer than all before it, with so many attempts; return its id."""
    from sqlalchemy import text

    async with database.unit_of_work() as session:
        number = (await session.execute(text("SELECT count(*) FROM webhook_deliveries"))).scalar_one()
        statement = text(
            "INSERT INTO webhook_deliveries (id, job_id, attempt, event, url, payload, status, created_at) VALUES"
            " (gen_random_uuid(), :job_id, :attempt, 'job.completed', 'http://127.0.0.1:1/', '{}', :status, clock_timestamp()) RETURNING id"
        )
        delivery_id = (await session.execute(statement, {"job_id": job_id, "attempt": number, "status": status.value})).scalar_one()
        await session.execute(
            text(
                "INSERT INTO webhook_attempts (id, delivery_id, number, started_at, duration_ms, status_code)"
                " SELECT gen_random_uuid(), :delivery_id, number, now(), 1, 404 FROM generate_series(1, :attempts) AS number"
            ),
            {"delivery_id": delivery_id, "attempts": attempts},
        )
    return str(delivery_id)
