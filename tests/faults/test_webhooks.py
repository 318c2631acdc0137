"""Webhooks of the real dispatcher: when it is killed in the middle of a POST, when workers are busy, and when receivers hang."""

from __future__ import annotations

import http.server
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from compose.processes import wait_until
from tests.faults.harness import Stack, make_sample

pytestmark = pytest.mark.timeout(300)

SMALL = make_sample(20)
LONG = make_sample(200_000, seed=2)
"""At the pace of `WORKERS` (conftest) it holds its slot for at least twenty seconds."""
SLOTS, HELD_S = 4, 15.0
ANSWERED, HANGING = 180, 20
HANGING_S = 120.0
"""How long the dispatcher waits for receivers that hang, in the test of these; `bench webhook` times what the README promises."""


class HangsOnce:
    """A receiver that never answers its first request, and answers every later one with 204; it remembers each webhook-id."""

    def __init__(self) -> None:
        heard: list[str] = []
        over = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(self.headers["webhook-id"])
                if len(heard) == 1:
                    over.wait(60)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.heard, self._over = heard, over
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="hangs-once", daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class Hanger:
    """A receiver that accepts one connection and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(HANGING_S / 2)
        self._connection: socket.socket | None = None
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/hook"

    def wait_until_called(self) -> None:
        self._connection, _ = self._listener.accept()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()


@contextmanager
def hanging_receivers(count: int) -> Iterator[Sequence[Hanger]]:
    hangers = [Hanger() for _ in range(count)]
    try:
        yield hangers
    finally:
        for hanger in hangers:
            hanger.close()


def test_dispatcher_that_is_killed_mid_post_sends_again_with_the_same_id(stack: Stack) -> None:
    receiver = HangsOnce()
    try:
        job_id = stack.upload(SMALL, webhook_url=receiver.url)
        assert wait_until(lambda: len(receiver.heard) == 1, timeout_s=30, interval_s=0.01), stack.tail()
        stack.kill("dispatcher")
        assert stack.query("SELECT 1 FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id WHERE d.job_id = $1", job_id) == []
        [delivery] = stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"]
        assert (delivery["status"], delivery["attempts"]) == ("PENDING", [])
        stack.restart_part("dispatcher")
        assert wait_until(lambda: len(receiver.heard) == 2, timeout_s=60), stack.tail()
        assert receiver.heard == [delivery["id"]] * 2
        assert wait_until(lambda: stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"][0]["status"] == "DELIVERED", timeout_s=10)
        [after] = stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"]
        assert [(attempt["number"], attempt["status_code"]) for attempt in after["attempts"]] == [(1, 204)]
    finally:
        receiver.close()


def test_webhook_comes_in_time_while_every_slot_is_busy(stack: Stack) -> None:
    told = stack.upload(SMALL)
    stack.assert_completed(told)
    assert wait_until(lambda: stack.receiver.count(told) == 1, timeout_s=10)
    busy = [stack.upload(LONG) for _ in range(SLOTS + 1)]
    assert wait_until(lambda: count_running(stack) == SLOTS, timeout_s=30), stack.tail()
    assert stack.client.post(f"/api/jobs/{told}/deliveries/redeliver").status_code == 202
    assert wait_until(lambda: stack.receiver.count(told) == 2, timeout_s=HELD_S, interval_s=0.02), stack.tail()
    assert count_running(stack) == SLOTS
    cancelled = next(job_id for job_id in busy if stack.job(job_id)["status"] == "PROCESSING")
    assert stack.cancel(cancelled)
    assert wait_until(lambda: stack.receiver.count(cancelled) == 1, timeout_s=HELD_S, interval_s=0.02), stack.tail()
    busy.remove(cancelled)
    for job_id in busy:
        stack.cancel(job_id)


def test_receivers_that_hang_delay_nobody_else(stack: Stack) -> None:
    """The dispatcher gives up no attempt before the test does: whoever waited for a receiver that hangs would wait until then."""
    stack.restart_part("dispatcher", altered=[f"wait_for_answers={HANGING_S}"])
    stack.wait_until_alive("dispatcher")
    with hanging_receivers(HANGING) as hanging:
        held = insert_running_jobs(stack, [hanger.url for hanger in hanging])
        end_jobs(stack, held)
        for hanger in hanging:
            hanger.wait_until_called()
        answered = insert_running_jobs(stack, [stack.receiver.url] * ANSWERED)
        end_jobs(stack, answered)
        delivered = "SELECT count(*) AS count FROM webhook_deliveries WHERE job_id = ANY($1::uuid[]) AND status = 'DELIVERED'"
        assert wait_until(lambda: stack.query(delivered, answered)[0]["count"] == ANSWERED, timeout_s=HANGING_S / 2), stack.tail()
        attempts = "SELECT 1 FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id WHERE d.job_id = ANY($1::uuid[])"
        assert stack.query(attempts, held) == []  # an attempt is stored when it has ended
    stack.restart_part("dispatcher")
    stack.wait_until_alive("dispatcher")
    for job_id in (*held, *answered):
        assert stack.client.delete(f"/api/jobs/{job_id}").status_code == 204


def end_jobs(stack: Stack, jobs: Sequence[str]) -> None:
    """End running jobs, a few at a time; each has its webhook sent."""
    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(lambda job_id: stack.client.delete(f"/api/jobs/{job_id}").status_code, jobs)) == {204}


def count_running(stack: Stack) -> int:
    [row] = stack.query("SELECT count(*) AS running FROM jobs WHERE status = 'PROCESSING'")
    return int(row["running"])


def insert_running_jobs(stack: Stack, urls: Sequence[str]) -> list[str]:
    """Insert jobs that a worker seems to hold, one for each URL; return their ids."""
    jobs = [str(uuid.uuid4()) for _ in urls]
    stack.query(
        "INSERT INTO jobs (id, filename, file_size, file_type, sha256, status, attempt, lease_expires_at, webhook_url)"
        " SELECT id, 'a.csv', 1, 'csv', repeat('0', 64), 'PROCESSING', 1, now() + interval '1 hour', url"
        " FROM unnest($1::uuid[], $2::text[]) AS given (id, url)",
        jobs,
        urls,
    )
    return jobs
