"""The contents of log lines, as JSON and as text, and what they must never contain."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from features.processing import tasks
from features.processing.engine import Inspection
from features.processing.readers.prefetch import Prefetch
from shared.contracts import PROCESS_JOB, ProcessJob
from shared.db.session import Database
from shared.messages.outbox import Message, enqueue
from shared.messages.tasks import TaskContext
from shared.observing.frames import describe_frames
from shared.observing.logging import configure_logging
from shared.observing.raw_output import mask_credentials
from shared.settings import Settings
from tests.factories import Factory


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Configure logging again, and capture what is written after that."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def configure(stream: io.StringIO | None = None, **changes: Any) -> io.StringIO:
        stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logging.captureWarnings(capture=False)
        configure_logging(settings.model_copy(update=changes))
        return stream

    yield configure
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def parse(stream: io.StringIO) -> list[dict[str, Any]]:
    return [dict(json.loads(line)) for line in stream.getvalue().splitlines()]


def fail() -> None:
    raise ValueError("no terminal")


def test_lines_are_json_where_nobody_reads_them(written: Callable[..., io.StringIO]) -> None:
    stream = written()
    structlog.get_logger("ours").info("hello", size=3)
    logging.getLogger("theirs").warning("from %s", "afar")
    with warnings.catch_warnings():  # a process of the service shows them; in tests they are errors
        warnings.simplefilter("default")
        warnings.warn("mind the gap", stacklevel=1)
    try:
        fail()
    except ValueError:
        structlog.get_logger("ours").exception("broken")
    ours, theirs, warned, broken = parse(stream)
    assert (ours["event"], ours["size"], ours["level"], ours["logger"]) == ("hello", 3, "info", "ours")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("from afar", "warning", "theirs")
    assert "mind the gap" in warned["event"]
    assert "ValueError: no terminal" in broken["exception"]


def test_lines_are_for_a_person_on_a_terminal(written: Callable[..., io.StringIO]) -> None:
    stream = written(Terminal())
    structlog.get_logger("ours").info("hello", size=3)
    text = stream.getvalue()
    assert "hello" in text
    assert "\x1b[" in text  # coloured
    assert not text.startswith("{")


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False)])
def test_form_can_be_chosen(written: Callable[..., io.StringIO], log_format: str, is_json: bool) -> None:
    stream = written(Terminal() if is_json else None, log_format=log_format)
    structlog.get_logger("ours").info("hello")
    assert stream.getvalue().startswith("{") is is_json


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_credentials_of_urls_are_in_no_line(written: Callable[..., io.StringIO], log_format: str) -> None:
    stream = written(log_format=log_format)
    urls = [
        "postgresql+asyncpg://rowgate:s3cr3t@db:5432/rowgate",
        "redis://:s3cr3t@redis:6379/0",
        "https://user:s3cr3t@hooks.example.com/x?y=1",
        "https://s3cr3t@example.com",
        "https://user:p@s3cr3t@example.com/a@b",
    ]
    for url in urls:
        structlog.get_logger("ours").warning("cannot reach", url=url, parts=[url])
        logging.getLogger("theirs").error("cannot reach %s", url)
        structlog.get_logger("ours").error("broken", exc_info=ConnectionError(url))
    assert "s3cr3t" not in stream.getvalue()
    for rest in ("://***@db:5432/rowgate", "://***@redis:6379/0", "://***@hooks.example.com/x?y=1", "://***@example.com", "://***@example.com/a@b"):
        assert rest in stream.getvalue()


@pytest.mark.parametrize("text", ["https://example.com/a@b", "https://example.com/?mail=a@b", "mail to a@b, or see https://example.com", "a@b"])
def test_other_signs_in_urls_stay(text: str) -> None:
    assert mask_credentials(text) == text


def test_frames_are_described_without_messages() -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("cell: secret") from error
    except RuntimeError as error:
        text = describe_frames(error)
    assert "in fail" in text
    assert "builtins.ValueError\nthen\n" in text
    assert text.endswith("builtins.RuntimeError")
    assert "cell: secret" not in text.replace('raise RuntimeError("cell: secret")', "")


def test_frames_say_what_the_system_says() -> None:
    text = describe_frames(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/private"))
    assert text == "builtins.OSError: No space left on device"
    assert describe_frames(OSError("private")) == "builtins.OSError"


def test_thread_that_reads_ahead_logs_for_its_job(written: Callable[..., io.StringIO]) -> None:
    stream = written()

    def read() -> Iterator[int]:
        assert threading.current_thread() is not threading.main_thread()
        logging.getLogger("library").warning("odd")
        yield 1

    with structlog.contextvars.bound_contextvars(job_id="j", attempt=4):
        ahead = Prefetch(read())
        assert list(ahead) == [1]
        ahead.close()
    [line] = parse(stream)
    assert (line["job_id"], line["attempt"]) == ("j", 4)


async def test_crash_of_a_job_is_logged_for_it_and_without_what_its_file_holds(
    written: Callable[..., io.StringIO], context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = written()

    def stumble(_: Inspection) -> Iterator[Any]:
        logging.getLogger("library").warning("on the way")
        raise ValueError("cannot convert: " + "private".upper())
        yield

    monkeypatch.setattr(Inspection, "reports", stumble)
    job = await factory.job(content=b"id\nPRIVATE\n")
    await tasks.process_job(context, ProcessJob(job_id=job.id))
    lines = parse(stream)
    assert [line["event"] for line in lines] == ["job claimed", "on the way", "job crashed"]
    assert {(line["job_id"], line["attempt"]) for line in lines} == {(str(job.id), 1)}
    assert "builtins.ValueError" in lines[-1]["exception"]
    assert "in stumble" in lines[-1]["exception"]
    assert "PRIVATE" not in stream.getvalue()


async def test_request_id_goes_in_and_out_and_into_the_jobs_message(client: httpx.AsyncClient, sent: list[Message]) -> None:
    response = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers={"X-Request-ID": "order-77"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (202, "order-77")
    [message] = sent
    assert message.request_id == "order-77"


@pytest.mark.parametrize("sent_id", ["", "two words", "x" * 129, 'a"b', "<script>"])
async def test_request_id_that_makes_no_sense_is_replaced(client: httpx.AsyncClient, sent_id: str) -> None:
    response = await client.get("/api/jobs", headers={"X-Request-ID": sent_id})
    assert response.headers["X-Request-ID"] != sent_id
    assert len(response.headers["X-Request-ID"]) == 36


async def test_failures_carry_the_request_id_too(client: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/api/jobs?page=0"):
        response = await client.get(path, headers={"X-Request-ID": "r1"})
        assert response.status_code in {400, 404}
        assert response.headers["X-Request-ID"] == "r1"


async def test_message_outside_of_a_request_has_no_request_id(database: Database, sent: list[Message], factory: Factory) -> None:
    job = await factory.job()
    async with database.unit_of_work() as session:
        enqueue(session, PROCESS_JOB, ProcessJob(job_id=job.id))
    assert [message.request_id for message in sent] == [None]
