from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from features.upload.accept import Intake
from shared.concurrency.grouping import Grouping
from shared.db.models import JobStatus
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.storage import folder_writer
from shared.storage.folder import FolderStorage
from shared.storage.folder_writer import FolderWriter, complete_files
from tests.factories import CSV, Factory
from tests.paths import list_stored

URL = "/api/files/upload"
ZIP = b"PK\x03\x04" + bytes(100)
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)


def list_files(settings: Settings) -> list[Path]:
    return list_stored(settings.upload_folder)


def body(*parts: tuple[str, bytes], boundary: str = "b", end: bool = True) -> bytes:
    """Make a multipart body; each part is given as its Content-Disposition parameters and its bytes."""
    text = b"".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
    return text + (f"--{boundary}--\r\n".encode() if end else b"")


async def post_body(client: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    return await client.post(URL, content=content, headers={"content-type": "multipart/form-data; boundary=b", **headers})


def assert_problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith((".", ";"))
    return problem


def make_scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    plain = {"type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(), "query_string": b"", "http_version": "1.1", "scheme": "http"}
    return {**plain, "headers": list(headers)}


async def test_csv_is_accepted_stored_and_queued(client: httpx.AsyncClient, settings: Settings, factory: Factory, sent: list[Message]) -> None:
    response = await client.post(URL, files={"file": ("people.csv", CSV)})
    assert response.status_code == 202
    answer = response.json()
    assert set(answer) == {"job_id", "status", "filename", "file_size", "file_type", "created_at"}
    assert (answer["status"], answer["filename"], answer["file_size"], answer["file_type"]) == ("QUEUED", "people.csv", len(CSV), "csv")
    assert response.headers["location"] == f"/api/jobs/{answer['job_id']}"
    assert answer["created_at"].endswith("Z")
    [stored] = list_files(settings)
    assert stored.name == f"{answer['job_id']}_people.csv"
    assert stored.read_bytes() == CSV
    [message] = sent
    assert (message.task, message.queue, message.payload) == ("processing.process_job", "processing", {"job_id": answer["job_id"]})
    job = (await client.get(response.headers["location"])).json()
    assert job["sha256"] == hashlib.sha256(CSV).hexdigest()
    assert job["status"] == JobStatus.QUEUED


@pytest.mark.parametrize(
    ("filename", "content", "file_type"),
    [
        ("A.CSV", b"a\n1\n", "csv"),
        ("b.XlSx", ZIP, "xlsx"),
        ("c.xls", OLE2, "xls"),
        ("really-xlsx.xls", ZIP, "xls"),
        ("encrypted.xlsx", OLE2, "xlsx"),
        ("utf16.csv", "a\n1\n".encode("utf-16"), "csv"),
    ],
)
async def test_each_extension_in_any_case_is_accepted(client: httpx.AsyncClient, filename: str, content: bytes, file_type: str) -> None:
    response = await client.post(URL, files={"file": (filename, content)})
    assert response.status_code == 202
    assert response.json()["file_type"] == file_type


@pytest.mark.parametrize(
    ("filename", "content", "says"),
    [
        ("data.txt", b"a", ".csv"),
        ("noextension", b"a", ".csv"),
        ("", b"a", ".csv"),
        ("data.csv.exe", b"a", ".csv"),
        ("empty.csv", b"", "empty"),
        ("zip.csv", ZIP, "ZIP"),
        ("workbook.csv", OLE2, ".xls"),
        ("text.xlsx", b"a,b\n1,2\n", "workbook"),
        ("text.xls", b"a,b\n1,2\n", "workbook"),
        ("doc.csv", b"%PDF-1.7", "PDF"),
        ("page.csv", b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>", "a web page (HTML) and not a CSV file; perhaps the session"),
        ("data.csv", b'[{"id": 1},\n {"id": 2}]\n', "This is JSON and not a CSV file"),
        ("page.xls", b"<html><table><tr><td>a</td></tr></table></html>", "a web page (HTML) and not an Excel workbook. Open it in Excel, save it as .xlsx"),
        ("tabs.xls", "a\tb\n1\t2\n".encode("utf-16"), "tab-separated text and not an Excel workbook. Give it the ending .csv"),
        ("old.xlsx", b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>', "SpreadsheetML 2003"),
        ("broken.xls", bytes(100), "no Excel workbook. Save it from Excel again"),
        ("macros.xlsm", ZIP, "Save it as .xlsx in the program that it comes from"),
        ("binary.XLSB", ZIP, "Save it as .xlsx in the program that it comes from"),
        ("table.ods", ZIP, "Save it as .xlsx in the program that it comes from"),
        ("table.tab", b"a\tb", "give it the ending .csv"),
    ],
)
async def test_file_that_cannot_be_read_is_refused(client: httpx.AsyncClient, settings: Settings, filename: str, content: bytes, says: str) -> None:
    response = await post_body(client, body((f'name="file"; filename="{filename}"', content)))
    problem = assert_problem(response, 400, "invalid-upload")
    assert problem["errors"][0]["field"] == "file"
    assert says in problem["errors"][0]["message"]
    assert list_files(settings) == []
    assert (await client.get("/api/jobs")).json()["total"] == 0


async def test_fields_may_come_before_and_after_the_file(client: httpx.AsyncClient) -> None:
    schema = json.dumps({"fields": [{"name": "id", "type": "integer"}]}).encode()
    response = await post_body(
        client,
        body(
            ('name="schema"', schema),
            ('name="file"; filename="a.csv"', CSV),
            ('name="dialect"', b'{"delimiter": ";"}'),
            ('name="encoding"', b"latin-1"),
            ('name="webhook_url"', b"http://127.0.0.1:1/hook"),
        ),
    )
    assert response.status_code == 202, response.text
    job = (await client.get(response.headers["location"])).json()
    assert job["schema"]["fields"][0]["name"] == "id"
    assert job["webhook_url"] == "http://127.0.0.1:1/hook"


async def test_schema_sent_as_a_file_is_taken(client: httpx.AsyncClient) -> None:
    response = await client.post(URL, files={"file": ("a.csv", CSV), "schema": ("s.json", b'{"fields": [{"name": "id"}]}')})
    assert response.status_code == 202, response.text


async def test_every_problem_is_listed_at_once(client: httpx.AsyncClient, settings: Settings) -> None:
    schema = json.dumps({"fields": [{"name": "a", "type": "nonsense"}, {"name": "b", "type": "integer", "constraints": {"minimum": "x"}}]}).encode()
    response = await post_body(
        client,
        body(
            ('name="colour"', b"red"),
            ('name="schema"', schema),
            ('name="dialect"', b"{"),
            ('name="encoding"', b"klingon"),
            ('name="webhook_url"', b"ftp://example.com"),
            ('name="file"; filename="a.csv"', CSV),
        ),
    )
    problem = assert_problem(response, 400, "invalid-upload")
    places = {error.get("pointer") or error.get("field") for error in problem["errors"]}
    assert places == {"colour", "/schema/fields/0/type", "/schema/fields/1/constraints/minimum", "/dialect", "encoding", "webhook_url"}
    assert list_files(settings) == []


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([('name="encoding"', b"utf-8")], "missing"),
        ([('name="file"', CSV)], "filename"),
        ([('name="file"; filename="a.csv"', CSV), ('name="file"; filename="b.csv"', CSV)], "exactly one"),
        ([('name="file"; filename="a.csv"', CSV), ('name="encoding"', b"utf-8"), ('name="encoding"', b"utf-8")], "once"),
        ([('name="file"; filename="a.csv"', CSV), ('name="webhook_url"', b"http://" + b"a" * 500)], "500"),
        ([('name="file"; filename="a.csv"', CSV), ('name="webhook_url"', b"\xff\xfe")], "UTF-8"),
    ],
)
async def test_wrong_form_is_refused(client: httpx.AsyncClient, settings: Settings, parts: list[tuple[str, bytes]], says: str) -> None:
    problem = assert_problem(await post_body(client, body(*parts)), 400, "invalid-upload")
    assert any(says in error["message"] for error in problem["errors"])
    assert list_files(settings) == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (body(('name="file"; filename="a.csv"', CSV), end=False), "multipart/form-data; boundary=b"),
        (body(('name="file"; filename="a.csv"', CSV))[:-30], "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
        (body(('name="file"; filename="a.csv"', CSV)), "multipart/form-data; boundary=other"),
        (body(('name="file"; filename="a.csv"', CSV)), "multipart/form-data"),
        (b"a,b\n1,2\n", "text/csv"),
        (b'{"file": "a"}', "application/json"),
        (b"--b\r\nContent-Type: text/csv\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (body(*[(f'name="p{number}"', b"x") for number in range(10_000)]), "multipart/form-data; boundary=b"),
        (b"--b\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    ],
)
async def test_malformed_body_is_a_problem_and_leaves_nothing(client: httpx.AsyncClient, settings: Settings, content: bytes, content_type: str) -> None:
    response = await client.post(URL, content=content, headers={"content-type": content_type})
    assert_problem(response, 400, "malformed-body")
    assert list_files(settings) == []
    assert (await client.get("/api/jobs")).json()["total"] == 0


@pytest.mark.parametrize("settings_change", [{"max_upload_size_bytes": 9000}])
async def test_file_over_the_limit_without_a_length_is_refused_and_removed(app: FastAPI, client: httpx.AsyncClient, settings_change: dict[str, Any]) -> None:
    limited = app.state.settings.model_copy(update=settings_change)
    app.state.settings = limited

    async def stream() -> AsyncIterator[bytes]:
        whole = body(('name="file"; filename="a.csv"', b"x" * 9001))
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    assert_problem(await post_body(client, stream()), 413, "file-too-large")
    assert list_files(limited) == []
    response = await post_body(client, body(('name="file"; filename="a.csv"', b"x" * 9000)))
    assert response.status_code == 202


@pytest.mark.usefixtures("clean")
async def test_length_over_the_limit_is_refused_before_the_body_is_read(app: FastAPI, settings: Settings) -> None:
    read: list[bool] = []
    answers: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        read.append(bool(answers))
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    length = settings.max_upload_size_bytes + 2**20 + 1
    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", str(length).encode()), (b"expect", b"100-continue")]
    scope = make_scope(*headers)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert answers[0]["status"] == 413
    assert read == []


async def test_client_that_goes_away_leaves_nothing(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    whole = body(('name="file"; filename="a.csv"', b"x" * 300_000), end=False)
    pieces: list[dict[str, Any]] = [{"type": "http.request", "body": whole, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError("nobody is there to hear this")

    await app(make_scope((b"content-type", b"multipart/form-data; boundary=b")), receive, send)
    assert list_files(settings) == []
    assert (await client.get("/api/jobs")).json()["total"] == 0


async def test_idle_client_gets_a_timeout(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    app.state.settings = settings.model_copy(update={"upload_idle_timeout_s": 0.2})

    async def stream() -> AsyncIterator[bytes]:
        yield body(('name="file"; filename="a.csv"', b"x"), end=False)
        await asyncio.sleep(5)
        yield b""

    assert_problem(await post_body(client, stream()), 408, "client-too-slow")
    assert list_files(settings) == []


async def test_too_many_uploads_at_once_are_turned_away(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    app.state.settings = settings.model_copy(update={"max_concurrent_uploads": 1})
    gate = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        whole = body(('name="file"; filename="a.csv"', CSV))
        yield whole[:50]
        await gate.wait()
        yield whole[50:]

    first = asyncio.create_task(post_body(client, stream()))
    await asyncio.sleep(0.2)
    second = await client.post(URL, files={"file": ("b.csv", CSV)})
    assert_problem(second, 503, "too-many-uploads")
    assert int(second.headers["retry-after"]) > 0
    gate.set()
    assert (await first).status_code == 202
    assert (await client.post(URL, files={"file": ("b.csv", CSV)})).status_code == 202


async def test_disk_that_fills_up_is_told_and_nothing_is_left(client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def writev(descriptor: int, chunks: list[memoryview]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "writev", writev)
    assert_problem(await client.post(URL, files={"file": ("a.csv", CSV)}), 507, "disk-full")
    assert list_files(settings) == []


async def test_reserve_of_disk_space_is_kept(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    app.state.intake.storage = FolderStorage(settings.upload_folder, chunk_size_bytes=8192, min_free_bytes=2**60)
    assert_problem(await client.post(URL, files={"file": ("a.csv", CSV)}), 507, "disk-full")
    assert list_files(settings) == []


async def test_same_key_and_payload_returns_the_first_job(client: httpx.AsyncClient, settings: Settings, sent: list[Message]) -> None:
    first = await client.post(URL, files={"file": ("a.csv", CSV)}, headers={"Idempotency-Key": "k1"})
    second = await client.post(URL, files={"file": ("a.csv", CSV)}, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    assert len(list_files(settings)) == 1
    assert len(sent) == 1


@pytest.mark.parametrize("change", [{"files": {"file": ("a.csv", CSV + b"3,x\n")}}, {"data": {"encoding": "utf-8"}}, {"files": {"file": ("b.csv", CSV)}}])
async def test_same_key_and_other_payload_is_refused(client: httpx.AsyncClient, settings: Settings, change: dict[str, Any]) -> None:
    request: dict[str, Any] = {"files": {"file": ("a.csv", CSV)}, "headers": {"Idempotency-Key": "k1"}}
    assert (await client.post(URL, **request)).status_code == 202
    assert_problem(await client.post(URL, **{**request, **change}), 400, "idempotency-key-reused")
    assert len(list_files(settings)) == 1


async def test_same_key_at_the_same_moment_makes_one_job(client: httpx.AsyncClient, settings: Settings) -> None:
    request: dict[str, Any] = {"files": {"file": ("a.csv", CSV)}, "headers": {"Idempotency-Key": "k1"}}
    answers = await asyncio.gather(*(client.post(URL, **request) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert len(list_files(settings)) == 1


async def test_key_is_free_again_when_its_job_is_deleted(client: httpx.AsyncClient) -> None:
    request: dict[str, Any] = {"files": {"file": ("a.csv", CSV)}, "headers": {"Idempotency-Key": "k1"}}
    first = await client.post(URL, **request)
    assert (await client.delete(first.headers["location"])).status_code == 204
    second = await client.post(URL, **request)
    assert second.status_code == 202
    assert second.json()["job_id"] != first.json()["job_id"]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('filename="C:\\\\dir\\\\report.csv"', "report.csv"),
        ('filename="../../etc/passwd.csv"', "passwd.csv"),
        ("filename=\"plain.csv\"; filename*=UTF-8''%e2%82%ac%20rates.csv", "€ rates.csv"),
        ('filename="ünï çødé.csv"', "ünï çødé.csv"),
        (f'filename="{"n" * 400}.csv"', "n" * 251 + ".csv"),
        (f'filename="{"𝄞" * 300}.csv"', "𝄞" * 251 + ".csv"),
        ('filename="semi;colon \\"quoted\\".csv"', 'semi;colon "quoted".csv'),
        ('filename="CON.csv"', "CON.csv"),
        ('filename="bell\x07.csv"', "bell\ufffd.csv"),
    ],
)
async def test_filename_is_the_last_component_within_255_characters(client: httpx.AsyncClient, settings: Settings, disposition: str, expected: str) -> None:
    response = await post_body(client, body((f'name="file"; {disposition}', CSV)))
    assert response.status_code == 202, response.text
    assert response.json()["filename"] == expected
    [stored] = list_files(settings)
    assert stored.name.isascii()
    assert stored.name.startswith(response.json()["job_id"] + "_")
    assert len(stored.name) < 200


async def test_database_away_is_a_503_and_leaves_no_file(app: FastAPI, client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.db.session import open_database

    async def send(messages: object) -> bool:
        raise AssertionError

    gone = settings.model_copy(update={"database_url": "postgresql+asyncpg://postgres@127.0.0.1:1/none"})
    alive = app.state.database
    app.state.database = open_database(gone, send=send, application_name="t", pool_size=1, max_overflow=0)
    app.state.intake = Intake(app.state.database, app.state.storage)
    response = await client.post(URL, files={"file": ("a.csv", CSV)})
    assert_problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert list_files(settings) == []
    app.state.database = alive


async def test_broker_away_does_not_fail_an_upload(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    from shared.db.session import Database
    from shared.messages.broker import Broker

    gone = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    broker = Broker(gone)
    app.state.database = Database(engine=app.state.database.engine, sessions=app.state.database.sessions, send=broker.send)
    app.state.intake = Intake(app.state.database, app.state.storage)
    async with asyncio.timeout(30):
        response = await client.post(URL, files={"file": ("a.csv", CSV)})
    await broker.aclose()
    assert response.status_code == 202
    assert (await client.get(response.headers["location"])).json()["status"] == "QUEUED"


async def test_bytes_are_written_in_chunks_of_the_configured_size(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = os.writev

    def writev(descriptor: int, chunks: list[memoryview]) -> int:
        sizes.extend(len(chunk) for chunk in chunks)
        return real(descriptor, chunks)

    monkeypatch.setattr(os, "writev", writev)
    content = b"a\n" + b"1\n" * 100_000
    response = await client.post(URL, files={"file": ("a.csv", content)})
    assert response.status_code == 202
    assert sum(sizes) == len(content)
    assert max(sizes) <= 8192
    assert sizes.count(8192) > len(sizes) * 0.7


async def test_memory_of_an_upload_is_bounded_when_the_disk_is_slow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    real = os.writev
    writer = FolderWriter(
        settings.upload_folder / "slow.csv", chunk_size_bytes=8192, min_free_bytes=0, small_files=Grouping(complete_files, max_items=32, patience_s=None)
    )

    def writev(descriptor: int, chunks: list[memoryview]) -> int:
        import time

        time.sleep(0.005)
        held.append(sum(len(chunk) for chunk in chunks))
        return real(descriptor, chunks)

    monkeypatch.setattr(os, "writev", writev)
    piece = memoryview(bytes(65_536))
    for _ in range(100):
        writer.take(piece)
        await writer.drain()
    digest = await writer.finish()
    assert digest == hashlib.sha256(bytes(65_536 * 100)).hexdigest()
    assert max(held) <= folder_writer.BATCH_BYTES + 65_536


async def test_file_and_folder_are_on_disk_before_the_answer(client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    response = await client.post(URL, files={"file": ("a.csv", CSV)})
    [stored] = list_files(settings)
    assert response.status_code == 202
    assert synced == [stored.with_name(stored.name + ".part"), settings.upload_folder]
