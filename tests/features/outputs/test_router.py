from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from features.outputs.tasks import APPLY_RETENTION, apply_retention
from shared.db.models import JobStatus, Output
from shared.downloads import make_disposition, name_download
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.output_names import OUTPUT_NAMES
from shared.settings import Settings
from shared.storage.names import name_file
from tests.factories import Factory, use_keys
from tests.features.outputs.conftest import CSV, EndedJob, MakeAll, list_rows

GOOD = CSV.replace(b"x,Linus\n", b"")


async def fetch(client: httpx.AsyncClient, job_id: uuid.UUID, name: str = "valid.csv", method: str = "GET", **headers: str) -> httpx.Response:
    return await client.request(method, f"/api/jobs/{job_id}/outputs/{name}", headers={key.replace("_", "-"): value for key, value in headers.items()})


async def test_output_is_asked_for_made_and_fetched(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job = await ended_job()
    url = f"/api/jobs/{job.id}/outputs/valid.csv"
    assert (await client.get(f"/api/jobs/{job.id}/outputs")).json() == {"outputs": [], "available": list(OUTPUT_NAMES)}
    assert (await client.get(url)).status_code == 404
    asked = await client.put(url)
    assert (asked.status_code, asked.json()["status"], asked.headers["location"]) == (202, "QUEUED", url)
    waiting = await client.get(url)
    assert (waiting.status_code, waiting.json()["status"], waiting.headers["retry-after"]) == (202, "QUEUED", "1")
    await make_all()
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, GOOD)
    sha256 = hashlib.sha256(GOOD).hexdigest()
    assert answer.headers["etag"] == f'"{sha256}"'
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["content-length"] == str(len(GOOD))
    assert answer.headers["content-disposition"] == 'attachment; filename="people-valid.csv"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    there = await client.put(url)
    assert (there.status_code, there.json()["status"]) == (200, "READY")
    [listed] = (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"]
    assert listed == there.json()
    assert listed["url"] == url
    assert (listed["progress"], listed["size_bytes"], listed["row_count"], listed["sha256"]) == (100, len(GOOD), 199, sha256)
    assert listed["error_message"] is None
    assert listed["created_at"] <= listed["completed_at"]


async def test_head_answers_as_get_without_the_file(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    assert (await fetch(client, job.id, method="HEAD")).status_code == 202
    await make_all()
    head, get = await fetch(client, job.id, method="HEAD"), await fetch(client, job.id)
    assert (head.status_code, head.content) == (200, b"")
    same = {name: value for name, value in get.headers.items() if name != "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name != "x-request-id"} == same


async def test_download_is_resumed_by_range_and_not_sent_twice(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    etag = (await fetch(client, job.id)).headers["etag"]
    part = await fetch(client, job.id, Range="bytes=100-", If_Range=etag)
    assert (part.status_code, part.content) == (206, GOOD[100:])
    assert part.headers["content-range"] == f"bytes 100-{len(GOOD) - 1}/{len(GOOD)}"
    last = await fetch(client, job.id, Range="bytes=-5")
    assert (last.status_code, last.content) == (206, GOOD[-5:])
    changed = await fetch(client, job.id, Range="bytes=100-", If_Range='"another"')
    assert (changed.status_code, changed.content) == (200, GOOD)
    past = await fetch(client, job.id, Range=f"bytes={len(GOOD)}-")
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(GOOD)}")
    assert past.headers["content-type"] == "application/problem+json"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        fresh = await fetch(client, job.id, If_None_Match=known, Range="bytes=0-3")
        assert (fresh.status_code, fresh.content, fresh.headers["etag"]) == (304, b"", etag)
    assert (await fetch(client, job.id, If_None_Match='"other"')).status_code == 200


@pytest.mark.parametrize("ranges", ["0-," * 90 + "0-", "0-," * 2000 + "0-", "0-0,2-2,4-4", "5-1", "x", "-", "18446744073709551616-", "0-18446744073709551616"])
async def test_range_that_asks_for_much_or_nonsense_costs_no_more_than_the_file(
    client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll, ranges: str
) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    answer = await fetch(client, job.id, Range=f"bytes={ranges}")
    assert answer.status_code in {200, 206, 400, 416}
    assert len(answer.content) < len(GOOD) + 1000
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["valid.xls", "good.csv", "rows.index", "valid", "..", "%2e%2e%2fa", "valid.csv.part", "VALID.CSV"])
async def test_name_of_no_output_is_a_400_that_lists_them(client: httpx.AsyncClient, ended_job: EndedJob, name: str) -> None:
    job = await ended_job()
    answer = await client.put(f"/api/jobs/{job.id}/outputs/{name}")
    if name in {"..", "%2e%2e%2fa"}:  # another path
        assert answer.status_code in {404, 405}
        return
    assert answer.status_code == 400
    assert "valid.parquet" in answer.json()["detail"]
    assert (await fetch(client, job.id, name)).status_code == 404


async def test_unknown_job_is_a_404(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "outputs"),
        ("PUT", "outputs/valid.csv"),
        ("PUT", "outputs/none"),
        ("GET", "outputs/valid.csv"),
        ("HEAD", "outputs/valid.csv"),
    ):
        assert (await client.request(method, f"/api/jobs/{uuid.uuid4()}/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": JobStatus.QUEUED}, "QUEUED"),
        ({"status": JobStatus.PROCESSING}, "PROCESSING"),
        ({"status": JobStatus.FAILED, "error_message": "It is damaged."}, "It is damaged."),
        ({"status": JobStatus.CANCELLED}, "before its rows were read"),
    ],
)
async def test_job_without_rows_is_a_409_with_the_reason(client: httpx.AsyncClient, factory: Factory, values: dict[str, Any], words: str) -> None:
    job = await factory.job(attempt=1, **values)
    answer = await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    assert answer.status_code == 409
    assert words in answer.json()["detail"]
    assert (await client.get(f"/api/jobs/{job.id}/outputs")).json() == {"outputs": [], "available": []}


async def test_file_that_is_gone_leaves_only_its_errors(client: httpx.AsyncClient, ended_job: EndedJob, settings: Settings) -> None:
    job = await ended_job()
    (settings.upload_folder / name_file(job.id, job.filename)).unlink()
    answer = await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    assert answer.status_code == 409
    assert "upload it again" in answer.json()["detail"]
    available = (await client.get(f"/api/jobs/{job.id}/outputs")).json()["available"]
    assert available == [name for name in OUTPUT_NAMES if name.startswith("errors.")]


async def test_output_that_failed_is_a_409_and_put_tries_again(
    client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, make_all: MakeAll, settings: Settings
) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    path = settings.upload_folder / name_file(job.id, job.filename)
    away = path.rename(path.with_suffix(".away"))
    for _ in range(3):  # it is looked for so many times
        await make_all()
    answer = await fetch(client, job.id)
    assert answer.status_code == 409
    assert "no longer stored" in answer.json()["detail"]
    away.rename(path)
    again = await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    assert (again.status_code, again.json()["status"], again.json()["error_message"]) == (202, "QUEUED", None)
    await make_all()
    assert (await fetch(client, job.id)).content == GOOD


async def test_content_past_its_retention_is_gone_and_put_makes_it_anew(
    client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, make_all: MakeAll, settings: Settings
) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    async with context.database.unit_of_work() as session:
        await session.execute(update(Output).values(completed_at=datetime.now(UTC) - timedelta(days=8)))
    await apply_retention(context, Nothing())
    assert APPLY_RETENTION.payload is Nothing
    assert list_files(settings.upload_folder) == []
    answer = await fetch(client, job.id)
    assert answer.status_code == 410
    assert "PUT" in answer.json()["detail"]
    assert (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"] == []
    assert (await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")).status_code == 202
    await make_all()
    assert (await fetch(client, job.id)).content == GOOD


async def test_content_that_vanished_is_gone_and_put_makes_it_anew(
    client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll, settings: Settings
) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    [path] = list_files(settings.upload_folder)
    path.unlink()
    assert (await fetch(client, job.id)).status_code == 410
    assert (await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")).status_code == 202
    await make_all()
    assert (await fetch(client, job.id)).content == GOOD


async def test_two_puts_at_once_are_one_output(client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, make_all: MakeAll) -> None:
    import asyncio

    job = await ended_job()
    answers = await asyncio.gather(*(client.put(f"/api/jobs/{job.id}/outputs/{name}") for name in ["valid.csv", "rejected.csv"] * 10))
    assert {answer.status_code for answer in answers} == {202}
    await make_all()
    assert [(row.name, row.status, row.claim) for row in await list_rows(context, job.id)] == [("rejected.csv", "READY", 1), ("valid.csv", "READY", 1)]


async def test_retry_and_delete_remove_outputs_and_their_files(
    client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, factory: Factory, make_all: MakeAll, settings: Settings
) -> None:
    retried, deleted = await ended_job(), await ended_job()
    for job in (retried, deleted):
        await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    assert len(list_files(settings.upload_folder)) == 2
    await factory.set(retried.id, status=JobStatus.FAILED)
    assert (await client.post(f"/api/jobs/{retried.id}/retry")).status_code == 202
    assert (await client.delete(f"/api/jobs/{deleted.id}")).status_code == 204
    for job in (retried, deleted):
        assert await list_rows(context, job.id) == []
        assert (await fetch(client, job.id)).status_code == 404
    assert list_files(settings.upload_folder) == []


async def test_outputs_of_another_key_are_not_there(app: FastAPI, client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job = await ended_job(submitted_by="ann")
    use_keys(app, "ann:key-of-ann-0123456789,bob:key-of-bob-0123456789")
    ann, bob = ({"X-API-Key": f"key-of-{name}-0123456789"} for name in ("ann", "bob"))
    url = f"/api/jobs/{job.id}/outputs/valid.csv"
    assert (await client.put(url, headers=bob)).status_code == 404
    assert (await client.put(url, headers=ann)).status_code == 202
    await make_all()
    assert (await client.get(url, headers=ann)).status_code == 200
    for method in ("GET", "HEAD", "PUT"):
        assert (await client.request(method, url, headers=bob)).status_code == 404


@pytest.mark.parametrize(
    ("filename", "plain", "full"),
    [
        ("orders.csv", "orders-valid.csv", None),
        ("Köln 2026.xlsx", "Koln 2026-valid.csv", "Köln 2026-valid.csv"),
        ("日本.csv", "file-valid.csv", "日本-valid.csv"),
        ('a"; filename="evil.exe', "a; filename=evil-valid.csv".replace(";", "_"), "a; filename=evil-valid.csv"),
        ("a\r\nSet-Cookie: x=1.csv", "aSet-Cookie x=1-valid.csv", None),
        ("gpj.\u202egnp.csv", "gpj.gnp-valid.csv", None),
        ("../../etc/passwd.csv", "etcpasswd-valid.csv", None),
        ("...csv", "file-valid.csv", None),
        ("x" * 255, "x" * 100 + "-valid.csv", None),
        ("a%0d%0ab.csv", "a0d0ab-valid.csv", None),
    ],
)
def test_name_of_a_download_can_fool_no_header_and_no_screen(filename: str, plain: str, full: str | None) -> None:
    header = make_disposition(name_download(filename, "valid.csv"))
    first, _, rest = header.partition("; filename*=UTF-8''")
    assert first == f'attachment; filename="{plain}"'
    assert (unquote(rest) or None) == full
    assert header.isascii()
    assert header.isprintable()


def list_files(upload_dir: Path) -> list[Path]:
    return sorted(path for path in (upload_dir / "outputs").rglob("*") if path.is_file())


async def test_output_that_was_asked_for_at_upload_waits_for_the_end_of_its_job(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(content=CSV, outputs_wanted=["valid.csv"])
    for status in (JobStatus.QUEUED, JobStatus.PROCESSING):
        await factory.set(job.id, status=status)
        waiting = await fetch(client, job.id)
        assert (waiting.status_code, waiting.json()["status"]) == (202, "QUEUED")
        [listed] = (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"]
        assert listed == waiting.json()
    assert (await fetch(client, job.id, "errors.csv")).status_code == 404
    await factory.set(job.id, status=JobStatus.FAILED, error_message="The file has no header.")
    refused = await fetch(client, job.id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/no-outputs")
    assert "The file has no header." in refused.json()["detail"]
    assert (await client.get(f"/api/jobs/{job.id}/outputs")).json()["outputs"] == []


@pytest.mark.parametrize("asked", ["chars=0-1", "bytes=abc", "bytes=-", "bytes 0-1", ""])
async def test_range_of_no_form_that_there_is_counts_as_none(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll, asked: str) -> None:
    job = await ended_job()
    await client.put(f"/api/jobs/{job.id}/outputs/valid.csv")
    await make_all()
    answer = await fetch(client, job.id, Range=asked)
    assert (answer.status_code, answer.content) == (200, GOOD)


async def test_document_names_the_headers_of_a_download(app: FastAPI) -> None:
    declared = app.openapi()["paths"]["/api/jobs/{job_id}/outputs/{name}"]["get"]["parameters"]
    assert {"Range", "If-Range", "If-None-Match"} <= {each["name"].title() for each in declared if each["in"] == "header"}
