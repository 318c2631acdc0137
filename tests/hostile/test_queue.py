"""Entries of a Redis list that are no messages do not end the process that reads them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from compose.processes import Child, Command, wait_until
from features.health import heartbeat
from tests.paths import ROOT
from tests.services import Servers

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

PROPERTIES = {"delivery_tag": "tag", "delivery_mode": 2, "body_encoding": "base64", "priority": 0, "delivery_info": {"exchange": "x", "routing_key": "x"}}
WHOLE = {
    "body": "W1tdLCB7fSwge31d",
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "health.beat", "id": "one"},
    "properties": PROPERTIES,
}
"""A message as kombu stores it; its task has no arguments."""
HEADERS: list[dict[str, Any]] = [
    {"task": ["x"]}, {"task": "no.such.task"}, {"task": None}, {"id": {}}, {"eta": "yesterday"}, {"eta": 5}, {"expires": "never"}, {"expires": {}},
    {"timelimit": ["a", "b"]}, {"timelimit": 5}, {"retries": "many"}, {"argsrepr": 5}, {"group": 5}, {"root_id": []}, {"request_id": 7}, {"origin": 5},
]  # fmt: skip
PROPERTY_CHANGES: list[dict[str, Any]] = [
    {"delivery_tag": None}, {"delivery_tag": ["a"]}, {"delivery_info": 5}, {"delivery_info": {}}, {"body_encoding": "rot13"}, {"priority": "high"},
    {"reply_to": 5}, {"correlation_id": []},
]  # fmt: skip
CHANGES: list[dict[str, Any]] = [
    *({"headers": {"task": "health.beat", "id": "one", **change}} for change in HEADERS),
    *({"properties": {**PROPERTIES, **change}} for change in PROPERTY_CHANGES),
    {"body": "%%%"}, {"body": None}, {"body": "NQ=="}, {"body": "bm90IGpzb24="}, {"body": "W1tdLCB7ImEiOiAxfSwge31d"},
    {"headers": 5}, {"headers": {}}, {"properties": 5},
    {"content-type": "application/x-python-serialize", "content-encoding": "binary"}, {"content-type": 5}, {"content-encoding": "no-such-encoding"},
]  # fmt: skip
JUNK = [
    b"", b"not json", b"\xff\xfe", b"null", b"5", b"[]", b"{}", b'"text"', b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"1" * 100_000,
    *(json.dumps({**WHOLE, **change}).encode() for change in CHANGES),
    *(json.dumps({name: value for name, value in WHOLE.items() if name != left_out}).encode() for left_out in WHOLE),
]  # fmt: skip
QUEUE = "maintenance"


@pytest.fixture
def dispatcher(servers: Servers, tmp_path: Path) -> Iterator[Child]:
    environment = {**os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "UPLOAD_DIR": str(tmp_path), "LOG_FORMAT": "text"}
    arguments = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-Q", QUEUE, "-P", "threads", "-c", "4"]
    command = Command(name="dispatcher", arguments=arguments, environment=environment, stop_signals=((signal.SIGTERM, 20.0),), directory=ROOT)
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushdb()
    child = Child(command, log_file=tmp_path / "log")
    try:
        assert wait_until(lambda: "ready." in read_log(child), timeout_s=60), child.last_lines
        yield child
    finally:
        child.stop()


def read_log(child: Child) -> str:
    return child.log_file.read_text() if child.log_file.exists() else ""


def test_what_is_no_message_is_dropped_and_the_next_message_is_run(dispatcher: Child, servers: Servers) -> None:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.lpush(QUEUE, *JUNK)
        for text in ("not json", json.dumps({"body": "NQ=="})):
            client.publish("/0.celery.pidbox", text)
        assert wait_until(lambda: dispatcher.exit_status() is not None or client.llen(QUEUE) == client.hlen("unacked") == 0, timeout_s=30)
        client.delete(heartbeat.DISPATCHER_KEY)
        client.lpush(QUEUE, json.dumps({**WHOLE, "properties": {**PROPERTIES, "delivery_tag": "last"}}))
        is_run = wait_until(lambda: client.get(heartbeat.DISPATCHER_KEY) is not None, timeout_s=20)
    log = read_log(dispatcher)
    assert is_run, log[-3000:]
    assert log.count("ready.") == 1, "it has connected again"
    assert log.count("no message") > len(JUNK) // 2
