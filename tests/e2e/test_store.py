"""The API and the tasks with files in an S3 store: what clients see is what they see of a folder."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openpyxl
import pytest
from sqlalchemy import text

from compose.object_store import Store
from features.outputs.tasks import sweep_files as sweep_outputs
from features.processing.tasks import make_output_of_job, process_job
from features.upload.tasks import sweep_files
from shared.contracts import MakeOutput, ProcessJob
from shared.messages.outbox import Message
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.storage.base import Storage

CSV = b"id,name\n" + b"".join(b"%d,Name %d\n" % (number, number) for number in range(1, 2001)) + b"x,Linus\n"
SCHEMA = '{"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]}'
GOOD = CSV.replace(b"x,Linus\n", b"")
Run = Callable[[], Awaitable[None]]


@pytest.fixture
def settings(settings: Settings, store: Store) -> Settings:
    place = {name.lower(): value for name, value in store.list_settings(f"tests/{uuid.uuid4()}").items()}
    return Settings(**{**settings.model_dump(), "upload_dir": None, **place})


@pytest.fixture
def run(context: TaskContext, sent: list[Message]) -> Run:
    """Do what the messages say that were sent."""

    async def run_all() -> None:
        while sent:
            message = sent.pop(0)
            with suppress(KeyError):
                await {
                    "processing.process_job": lambda payload: process_job(context, ProcessJob(**payload)),
                    "processing.make_output": lambda payload: make_output_of_job(context, MakeOutput(**payload)),
                }[message.task](message.payload)

    return run_all


async def upload(client: httpx.AsyncClient, content: bytes = CSV, name: str = "people.csv", **fields: str) -> str:
    answer = await client.post("/api/files/upload", files={"file": (name, content)}, data={"schema": SCHEMA, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def list_all(storage: Storage) -> list[str]:
    return [found.name for listing in (storage.list_files(), storage.list_outputs()) async for files in listing for found in files]


async def test_file_travels_through_the_store_and_nothing_is_left_when_its_job_is_deleted(client: httpx.AsyncClient, run: Run, storage: Storage) -> None:
    job_id = await upload(client, outputs="valid.csv")
    assert (await client.get("/api/health")).json()["details"]["upload_disk"] is None
    await run()
    job = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (job["status"], job["rows_processed"], job["error_count"], job["sha256"]) == ("COMPLETED", 2001, 1, hashlib.sha256(CSV).hexdigest())
    url = f"/api/jobs/{job_id}/outputs/valid.csv"
    whole, head = await client.get(url), await client.request("HEAD", url)
    assert (whole.status_code, whole.content) == (200, GOOD)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(GOOD)))
    part = await client.get(url, headers={"Range": "bytes=3-9", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, GOOD[3:10], f"bytes 3-9/{len(GOOD)}")
    several = await client.get(url, headers={"Range": "bytes=0-1,-4"})
    assert several.status_code == 206
    assert GOOD[-4:] in several.content
    assert (await client.get(url, headers={"If-None-Match": whole.headers["etag"]})).status_code == 304
    assert (await client.get(url, headers={"Range": f"bytes={len(GOOD)}-"})).status_code == 416
    assert (await client.get(f"/api/jobs/{job_id}/rows")).status_code == 202
    await run()
    rows = (await client.get(f"/api/jobs/{job_id}/rows", params={"around_row": 2002})).json()
    assert rows["rows"][-1]["cells"] == ["x", "Linus"]
    again = (await client.post(f"/api/jobs/{job_id}/check-again")).json()["id"]
    await run()
    assert len(await list_all(storage)) == 5  # two files, an output of each, and the rows of one
    for gone in (job_id, again):
        assert (await client.delete(f"/api/jobs/{gone}")).status_code == 204
    assert await list_all(storage) == []


async def test_workbook_travels_through_the_store(client: httpx.AsyncClient, run: Run, tmp_path: Path) -> None:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    for row in (("id", "name"), (1, "Ada"), ("x", "Linus")):
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    job_id = await upload(client, (tmp_path / "a.xlsx").read_bytes(), "a.xlsx")
    await run()
    job = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (job["status"], job["rows_processed"], job["error_count"]) == ("COMPLETED", 2, 1)


async def test_download_is_sent_to_the_store_if_that_is_wanted(client: httpx.AsyncClient, run: Run, app: object, settings: Settings) -> None:
    from shared.storage.location import open_storage

    job_id = await upload(client, outputs="valid.csv")
    await run()
    redirecting = open_storage(settings.model_copy(update={"s3_redirect_downloads": True}))
    app.state.storage = redirecting  # type: ignore[attr-defined]  # an application
    url = f"/api/jobs/{job_id}/outputs/valid.csv"
    sent = await client.get(url)
    assert sent.status_code == 307
    assert (await client.request("HEAD", url)).status_code == 200
    async with httpx.AsyncClient() as elsewhere:
        answer = await elsewhere.get(sent.headers["location"], headers={"Range": "bytes=0-6"})
    assert (answer.status_code, answer.content) == (206, b"id,name")
    assert answer.headers["content-disposition"] == 'attachment; filename="people-valid.csv"'
    assert urlsplit(sent.headers["location"]).netloc == urlsplit(str(settings.aws_endpoint_url)).netloc


async def test_sweeps_take_what_belongs_to_nobody_and_nothing_else(client: httpx.AsyncClient, run: Run, context: TaskContext, storage: Storage) -> None:
    job_id = await upload(client, outputs="valid.csv")
    await run()
    kept = sorted(await list_all(storage))
    writer = storage.open_writer(f"{uuid.uuid4()}_stray.csv")
    writer.take(memoryview(b"a\n"))
    await writer.finish()
    left = f"outputs/{job_id}/{uuid.uuid4()}-1-valid.csv"
    async with storage.make_workplace(left) as folder:
        (folder / "a").write_bytes(b"a")
        await storage.put_file(folder / "a", left, headers={})
    await sweep_files(context, Nothing())
    assert len(await list_all(storage)) == len(kept) + 2
    await sweep_outputs(context, Nothing())
    assert sorted(name for name in await list_all(storage) if "stray" not in name) == kept


async def test_large_upload_is_the_file_that_was_sent(client: httpx.AsyncClient, run: Run, storage: Storage) -> None:
    content = b"id,name\n" + b"1,abcdefghij\n" * 1_000_000
    job_id = await upload(client, content)
    assert await storage.measure_file(f"{job_id}_people.csv") == len(content)
    await run()
    job = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (job["status"], job["rows_processed"], job["sha256"]) == ("COMPLETED", 1_000_000, hashlib.sha256(content).hexdigest())


async def test_file_whose_end_shows_another_encoding_is_read_anew_as_the_next_attempt(client: httpx.AsyncClient, run: Run, context: TaskContext) -> None:
    plain = b"id,name\n" + b"".join(b"%s,Name\n" % (b"x" if number % 50_000 == 0 else b"%d" % number) for number in range(1, 700_001))
    content = plain + "1,Müller\n2,Jürgen Größe\nx,Björn süß\n".encode("cp1252")
    job_id = await upload(client, content)
    await run()
    job = (await client.get(f"/api/jobs/{job_id}")).json()
    assert (job["status"], job["attempt"], job["rows_processed"], job["source"]["encoding"]) == ("COMPLETED", 2, 700_003, "cp1252")
    assert [note["code"] for note in job["notes"]] == ["encoding-guessed"]
    errors = (await client.get(f"/api/jobs/{job_id}/errors")).json()
    assert (errors["total"], job["error_count"]) == (15, 15)
    async with context.database.reading() as session:
        crashes = (await session.execute(text("SELECT crashes, machine_faults FROM jobs"))).one()
    assert tuple(crashes) == (0, 0)
    assert (await client.put(f"/api/jobs/{job_id}/outputs/valid.csv")).status_code == 202
    await run()
    good = await client.get(f"/api/jobs/{job_id}/outputs/valid.csv")
    assert good.content.endswith("1,Müller\n2,Jürgen Größe\n".encode("cp1252"))
