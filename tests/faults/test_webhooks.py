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
LONG = make_sample(60_000, seed=2)
"""At the pace of `WORKERS` (conftest) it holds its slot for at least six seconds."""
SLOTS, HELD_S = 4, 5.0
LAST_S = 10.0
"""Promised by the README: a webhook's last attempt has ended by then. `bench webhook` times the promises; here, what would break them is sought."""
ANSWERED, HANGING = 180, 20


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


@contextmanager
def hanging_receivers(count: int) -> Iterator[Sequence[str]]:
    """Open ports on which the system accepts connections but nothing reads; yields their URLs."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield [f"http://127.0.0.1:{listener.getsockname()[1]}/hook" for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


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
    """On a machine that stalls there may be no moment in which all of them hang, so it is tried again."""
    assert any(count_answered_while_others_hang(stack) >= ANSWERED // 20 for _ in range(3))


def count_answered_while_others_hang(stack: Stack) -> int:
    with hanging_receivers(HANGING) as hanging:
        urls = [*hanging, *[stack.receiver.url] * ANSWERED]
        jobs = insert_running_jobs(stack, urls)
        with ThreadPoolExecutor(8) as clients:  # each ends a job; jobs with hanging receivers come first
            assert set(clients.map(lambda job_id: stack.client.delete(f"/api/jobs/{job_id}").status_code, jobs)) == {204}
        answered = jobs[HANGING:]
        assert wait_until(lambda: all(stack.receiver.count(job_id) for job_id in answered), timeout_s=LAST_S), stack.tail()
        # What came of an attempt is recorded a moment after the receiver has answered.
        delivered = "SELECT count(*) AS count FROM webhook_deliveries WHERE job_id = ANY($1::uuid[]) AND status = 'DELIVERED'"
        assert wait_until(lambda: stack.query(delivered, answered)[0]["count"] == ANSWERED, timeout_s=LAST_S), stack.tail()
        # Whoever waits for a place among those that hang begins only after one of them is given up.
        begun = count_begun_beside(stack, answered, jobs[:HANGING])
        assert stack.query("SELECT 1 FROM webhook_deliveries WHERE job_id = ANY($1::uuid[]) AND status = 'DELIVERED'", jobs[:HANGING]) == []
    for job_id in jobs:
        assert stack.client.delete(f"/api/jobs/{job_id}").status_code == 204
    return begun


def count_begun_beside(stack: Stack, answered: Sequence[str], hanging: Sequence[str]) -> int:
    """Count the answered deliveries that began while every hanging one was under way, for the first time."""
    return int(
        stack.query(
            "WITH first AS (SELECT d.job_id, a.started_at, a.started_at + a.duration_ms * interval '1 ms' AS ended_at"
            " FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id WHERE a.number = 1),"
            " hung AS (SELECT max(started_at) AS begun_at, min(ended_at) AS ended_at FROM first WHERE job_id = ANY($2::uuid[]))"
            " SELECT count(*) AS count FROM first, hung WHERE job_id = ANY($1::uuid[]) AND first.started_at BETWEEN hung.begun_at AND hung.ended_at",
            answered,
            hanging,
        )[0]["count"]
    )


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
