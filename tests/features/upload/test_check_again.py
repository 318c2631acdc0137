"""Check a stored file again as a new job."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.db.models import JobStatus
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.storage.folder import FolderStorage
from shared.storage.names import name_file
from tests.factories import Factory, use_keys
from tests.paths import list_stored

SCHEMA = {"fields": [{"name": "id", "type": "string"}, {"name": "name", "type": "string"}]}


async def test_new_job_has_the_same_bytes_and_nothing_is_copied(client: httpx.AsyncClient, factory: Factory, settings: Settings, sent: list[Message]) -> None:
    job = await factory.ended_job(external_id="4711", labels={"team": "sales"}, encoding="utf-8", outputs_wanted=["valid.csv"])
    answer = await client.post(f"/api/jobs/{job.id}/check-again", json={"schema": SCHEMA})
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{shown['id']}"
    assert shown["job_id"] == shown["id"] != str(job.id)
    assert (shown["status"], shown["checked_again_from"], shown["schema"]) == ("QUEUED", str(job.id), SCHEMA)
    assert (shown["filename"], shown["file_size"], shown["sha256"], shown["external_id"], shown["labels"]) == (
        job.filename, job.file_size, job.sha256, "4711", {"team": "sales"},
    )  # fmt: skip
    made = await factory.get(uuid.UUID(shown["id"]))
    assert made is not None
    assert (made.encoding, made.outputs_wanted) == ("utf-8", ["valid.csv"])
    old, new = settings.upload_folder / name_file(job.id, job.filename), settings.upload_folder / name_file(made.id, job.filename)
    assert old.samefile(new)
    assert [message.payload for message in sent] == [{"job_id": shown["id"]}]


async def test_absent_members_are_taken_from_the_job_and_null_means_anew(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job(schema_given=SCHEMA, dialect={"delimiter": ","}, encoding="utf-8", webhook_url="http://127.0.0.1:9/x")
    same = await factory.get(uuid.UUID((await client.post(f"/api/jobs/{job.id}/check-again")).json()["id"]))
    assert same is not None
    assert (same.schema_given, same.dialect, same.encoding, same.webhook_url) == (SCHEMA, {"delimiter": ","}, "utf-8", "http://127.0.0.1:9/x")
    nulls = {"schema": None, "dialect": None, "encoding": None, "webhook_url": None, "outputs": None}
    anew = await factory.get(uuid.UUID((await client.post(f"/api/jobs/{job.id}/check-again", json=nulls)).json()["id"]))
    assert anew is not None
    assert (anew.schema_given, anew.dialect, anew.encoding, anew.webhook_url, anew.outputs_wanted) == (None, None, None, None, [])


@pytest.mark.parametrize("outputs", [["errors.csv", "valid.parquet"], "errors.csv, valid.parquet"])
async def test_outputs_are_a_list_or_a_text(client: httpx.AsyncClient, factory: Factory, outputs: Any) -> None:
    job = await factory.ended_job()
    answer = await client.post(f"/api/jobs/{job.id}/check-again", json={"outputs": outputs})
    made = await factory.get(uuid.UUID(answer.json()["id"]))
    assert made is not None
    assert made.outputs_wanted == ["errors.csv", "valid.parquet"]


async def test_deleting_either_job_leaves_the_other_whole(client: httpx.AsyncClient, factory: Factory, settings: Settings) -> None:
    job = await factory.ended_job()
    ids = [uuid.UUID((await client.post(f"/api/jobs/{job.id}/check-again")).json()["id"]) for _ in range(2)]
    content = (settings.upload_folder / name_file(job.id, job.filename)).read_bytes()
    for gone in (job.id, ids[0]):
        assert (await client.delete(f"/api/jobs/{gone}")).status_code == 204
        assert not (settings.upload_folder / name_file(gone, job.filename)).exists()
        assert (settings.upload_folder / name_file(ids[1], job.filename)).read_bytes() == content


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"schema": {"fields": [{"name": "a", "type": "nonsense"}]}}, "/schema/fields/0/type"),
        ({"schema": "x"}, "/schema"),
        ({"dialect": {"delimiter": ""}}, "/dialect/delimiter"),
        ({"encoding": "klingon"}, "encoding"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url"),
        ({"outputs": ["valid.pdf"]}, "outputs"),
        ({"outputs": [1]}, "/outputs/0"),
        ({"outputs": {}}, "/outputs"),
        ({"labels": {}}, "/labels"),
    ],
)
async def test_wrong_member_is_a_400_and_leaves_nothing(
    client: httpx.AsyncClient, factory: Factory, settings: Settings, given: dict[str, Any], named: str
) -> None:
    job = await factory.ended_job()
    answer = await client.post(f"/api/jobs/{job.id}/check-again", json=given)
    assert answer.status_code == 400
    assert named in [part.get("pointer") or part["field"] for part in answer.json()["errors"]]
    assert len(list_stored(settings.upload_folder)) == 1


async def test_job_without_its_file_is_a_400(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job(content=None)
    answer = await client.post(f"/api/jobs/{job.id}/check-again")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/file-gone")
    assert (await client.get("/api/jobs")).json()["total"] == 1


async def test_job_of_another_key_is_a_404(app: FastAPI, client: httpx.AsyncClient, factory: Factory) -> None:
    use_keys(app, "ada:" + "a" * 32 + ",bob:" + "b" * 32)
    job = await factory.ended_job(submitted_by="ada")
    assert (await client.post(f"/api/jobs/{job.id}/check-again", headers={"X-API-Key": "b" * 32})).status_code == 404
    mine = await client.post(f"/api/jobs/{job.id}/check-again", headers={"X-API-Key": "a" * 32})
    assert (mine.status_code, mine.json()["submitted_by"]) == (202, "ada")


async def test_job_that_still_runs_can_be_checked_again(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING)
    assert (await client.post(f"/api/jobs/{job.id}/check-again")).status_code == 202


def test_file_is_copied_where_the_file_system_gives_no_second_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: object, _target: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(os, "link", refuse)
    asyncio.run(FolderStorage(tmp_path, chunk_size_bytes=8192, min_free_bytes=0).copy("a", "b"))
    assert target.read_bytes() == source.read_bytes()
    assert not target.samefile(source)
    with pytest.raises(OSError, match="reserve") as full:
        asyncio.run(FolderStorage(tmp_path, chunk_size_bytes=8192, min_free_bytes=2**62).copy("a", "c"))
    assert full.value.errno == errno.ENOSPC
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


async def test_full_disk_is_a_507(client: httpx.AsyncClient, factory: Factory, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    def refuse(_source: object, _target: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    job = await factory.ended_job()
    answer = await client.post(f"/api/jobs/{job.id}/check-again")
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/disk-full")
    assert len(list_stored(settings.upload_folder)) == 1
