"""PATCH /api/jobs/{job_id}: the changes that a client may make to its job."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest

from shared.db.models import JobStatus
from shared.db.session import Database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from tests.factories import Factory

PROGRESS = Progress(percent=50, rows_processed=3, rows_failed=0, total_rows=None, error_count=0, errors_stored=0, error_tally=[])
HOOK = "http://127.0.0.1:9/hook"


def url(job: Any) -> str:
    return f"/api/jobs/{job.id}"


async def test_client_gives_its_own_id_and_labels_and_reads_them_back(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job()
    assert (await client.get(url(job))).json().items() >= {"external_id": None, "labels": {}}.items()
    answer = await client.patch(url(job), json={"external_id": "order-4711", "labels": {"team": "sales", "ünïcode": ""}})
    assert answer.status_code == 200, answer.text
    assert answer.json() == (await client.get(url(job))).json()
    assert answer.json().items() >= {"external_id": "order-4711", "labels": {"team": "sales", "ünïcode": ""}}.items()
    [listed] = (await client.get("/api/jobs")).json()["jobs"]
    assert (listed["external_id"], listed["labels"]["team"]) == ("order-4711", "sales")


async def test_absent_members_stay_and_null_clears(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(external_id="a", labels={"x": "1"}, webhook_url=HOOK)
    answer = (await client.patch(url(job), json={"labels": {"y": "2"}})).json()
    assert (answer["external_id"], answer["labels"], answer["webhook_url"]) == ("a", {"y": "2"}, HOOK)
    answer = (await client.patch(url(job), json={})).json()
    assert (answer["external_id"], answer["labels"], answer["webhook_url"]) == ("a", {"y": "2"}, HOOK)
    answer = (await client.patch(url(job), json={"external_id": None, "labels": None, "webhook_url": None})).json()
    assert (answer["external_id"], answer["labels"], answer["webhook_url"]) == (None, {}, None)


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.PROCESSING])
async def test_webhook_url_can_be_changed_until_the_job_has_ended(client: httpx.AsyncClient, factory: Factory, status: JobStatus) -> None:
    job = await factory.job(status=status, attempt=1)
    answer = await client.patch(url(job), json={"webhook_url": f" {HOOK} "})
    assert (answer.status_code, answer.json()["webhook_url"]) == (200, HOOK)
    assert (await client.patch(url(job), json={"webhook_url": " " * 600 + HOOK})).json()["webhook_url"] == HOOK
    assert (await client.patch(url(job), json={"webhook_url": "  "})).json()["webhook_url"] is None


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_webhook_url_of_a_job_that_has_ended_is_a_conflict_and_changes_nothing(client: httpx.AsyncClient, factory: Factory, status: JobStatus) -> None:
    job = await factory.ended_job(status, webhook_url=HOOK)
    answer = await client.patch(url(job), json={"webhook_url": None, "external_id": "new"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-ended")
    assert status.value in answer.json()["detail"]
    now = (await client.get(url(job))).json()
    assert (now["external_id"], now["webhook_url"]) == (None, HOOK)
    assert (await client.patch(url(job), json={"external_id": "new"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"external_id": ""}, "external_id"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"external_id": "a\0b"}, "external_id"),
        ({"external_id": 5}, "external_id"),
        ({"labels": {str(number): "x" for number in range(17)}}, "labels"),
        ({"labels": {"": "x"}}, "labels /labels/"),
        ({"labels": {"n" * 65: "x"}}, f"labels /labels/{'n' * 65}"),
        ({"labels": {"n": "x" * 256}}, "labels /labels/n"),
        ({"labels": {"n": "\0"}}, "labels /labels/n"),
        ({"labels": {"a/b~.c": 1}}, "labels /labels/a~1b~0.c"),
        ({"labels": {"n": 1}}, "labels /labels/n"),
        ({"labels": ["n"]}, "labels"),
        ({"status": "COMPLETED"}, "status"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url"),
        ({"webhook_url": "http://" + "a" * 500}, "webhook_url"),
        ({"webhook_url": 7}, "webhook_url"),
        ([], "body"),
        ("x", "body"),
    ],
)
async def test_nonsense_is_a_400_that_names_it(client: httpx.AsyncClient, factory: Factory, body: Any, place: str) -> None:
    job = await factory.job()
    answer = await client.patch(url(job), json=body)
    assert answer.status_code == 400, answer.text
    field, _, pointer = place.partition(" ")
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error.get("pointer", f"/{field}") == (pointer or f"/{field}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The body must be a JSON object, sent with Content-Type: application/json."),
        (b"[1]", "The body must be a JSON object, sent with Content-Type: application/json."),
        (b'{"labels": }', "This is not JSON: Expecting value."),
        (b'{"state": 1}', "There is no such member."),
        (b'{"external_id": "\\u0000"}', "A NUL character is not allowed."),
        (b'{"external_id": ""}', "At least 1 character is required."),
        (b'{"external_id": "' + b"x" * 256 + b'"}', "At most 255 characters are allowed."),
        (b'{"labels": {"' + b"x" * 65 + b'": ""}}', "At most 64 characters are allowed."),
        (json.dumps({"labels": dict.fromkeys(map(str, range(17)), "")}).encode(), "At most 16 are allowed."),
        (json.dumps({"webhook_url": "http://" + "a" * 600}).encode(), "The URL has 607 characters; at most 500 are allowed."),
        (b"\xff", "The body is not JSON in UTF-8, or it is nested too deeply."),
        (b'{"labels": ' + b"[" * 60_000, "The body is not JSON in UTF-8, or it is nested too deeply."),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_in_plain_words(client: httpx.AsyncClient, factory: Factory, content: bytes, message: str) -> None:
    job = await factory.job()
    answer = await client.patch(url(job), content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, [error["message"] for error in answer.json()["errors"]]) == (400, [message])


async def test_thousands_of_mistakes_get_a_short_answer(client: httpx.AsyncClient, factory: Factory) -> None:
    body = {f"{number}": 1 for number in range(5_000)} | {"x" * 5_000: 1}
    answer = await client.patch(url(await factory.job()), json=body)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 50
    assert answer.json()["detail"].endswith(" (and 4951 more).")
    assert len(answer.content) < 10_000
    long = await client.patch(url(await factory.job()), json={"x" * 60_000: 1, "labels": {"y" * 60_0: 1}})
    assert len(long.content) < 3_000


async def test_form_in_place_of_json_says_what_to_send(client: httpx.AsyncClient, factory: Factory) -> None:
    answer = await client.patch(url(await factory.job()), data={"external_id": "x"})
    assert answer.status_code == 400
    assert "application/json" in answer.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"external_id": "\\ud800"}', b"\xff", b'{"labels": ' + b"[" * 5_000, b"null"])
async def test_body_that_is_no_json_object_is_a_400(client: httpx.AsyncClient, factory: Factory, content: bytes) -> None:
    job = await factory.job()
    answer = await client.patch(url(job), content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_job_that_is_not_there_is_a_404(client: httpx.AsyncClient, factory: Factory, database: Database) -> None:
    deleted = await factory.ended_job()
    async with database.unit_of_work() as session:
        assert await job_state.hide(session, job_id=deleted.id)
    for path in (f"/api/jobs/{uuid.uuid4()}", "/api/jobs/nonsense", url(deleted)):
        assert (await client.patch(path, json={"external_id": "x"})).status_code == 404
    assert (await client.patch(url(deleted), json={"webhook_url": HOOK})).status_code == 404


async def test_end_of_the_job_and_change_of_its_webhook_at_the_same_time_agree(client: httpx.AsyncClient, factory: Factory, database: Database) -> None:
    """Either the webhook goes to the new address, or the change is refused: no client is promised a webhook that is never sent."""
    for _ in range(15):
        job = await factory.job(status=JobStatus.PROCESSING, attempt=1)

        async def end(job_id: uuid.UUID = job.id) -> None:
            async with database.unit_of_work() as session:
                assert await job_state.finish(session, job_id=job_id, attempt=1, progress=PROGRESS)

        _, answer = await asyncio.gather(end(), client.patch(url(job), json={"webhook_url": HOOK}))
        deliveries = (await client.get(f"{url(job)}/deliveries")).json()["deliveries"]
        assert (answer.status_code, [delivery["url"] for delivery in deliveries]) in [(200, [HOOK]), (409, [])]
