"""Each alert that can be provoked on one machine: a real Prometheus sees its condition, what its runbook says is done, and the condition is gone.

Prometheus reads what the API serves every two seconds, and is asked for the very expressions of alerts.yml. Only how far they look back is shortened, and how
long an alert waits before it fires (`for`) is left to alerts_test.yml, so that no test waits for minutes.
"""

from __future__ import annotations

import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from redis import Redis

from compose.check_alerts import MONITORING
from compose.processes import Child, Command, wait_until
from compose.services import free_port
from shared.db.migration_level import get_code_level
from tests.faults.altered import CRASH, POISON
from tests.faults.harness import Stack, can_mount, make_sample, mounting, running_stack
from tests.paths import ROOT

PROMETHEUS = os.environ.get("SERVER_OF_PROMETHEUS") or shutil.which("prometheus")
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(PROMETHEUS is None, reason="there is no Prometheus here (Debian: apt-get install prometheus; SERVER_OF_PROMETHEUS gives its path)"),
]
SAMPLE = make_sample(500, seed=3)
LONG = make_sample(6_000, seed=4)
SECONDS_SEEN = 12
"""How far expressions look back here, except that of three deaths, which take longer."""
SECONDS_OF_DEATHS = 45


def look_back_briefly(alert: str, expression: str) -> str:
    """Return the expression with other ranges."""
    seconds = SECONDS_OF_DEATHS if alert == "RowgateLeasesTakenBack" else SECONDS_SEEN
    return re.sub(r"\[3h:1m\]", "[2m:2s]", re.sub(r"\[\d+[mh]\]", f"[{seconds}s]", expression))


EXPRESSIONS: dict[str, str] = {
    rule["alert"]: look_back_briefly(rule["alert"], rule["expr"])
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
OF_THIS_MACHINE = {"RowgateDiskNearlyFull", "RowgateDiskFull"}
"""Its disk may be small."""


class Watched:
    """A stack, and the Prometheus that watches it."""

    def __init__(self, stack: Stack, prometheus: httpx.Client) -> None:
        self.stack, self._prometheus = stack, prometheus

    def finds(self, expression: str) -> bool:
        """Whether the expression has any result now."""
        answer = self._prometheus.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["data"]["result"])

    def holds(self, alert: str) -> bool:
        """Whether the alert's condition holds now."""
        return self.finds(EXPRESSIONS[alert])

    def wait_until_it_holds(self, alert: str) -> None:
        assert wait_until(lambda: self.holds(alert), timeout_s=40, interval_s=0.3), (alert, self.stack.tail())

    def wait_until_it_is_gone(self, alert: str) -> None:
        assert wait_until(lambda: not self.holds(alert), timeout_s=60, interval_s=0.3), (alert, self.stack.tail())

    def list_held(self) -> set[str]:
        return {alert for alert in EXPRESSIONS if self.holds(alert)} - OF_THIS_MACHINE


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    folder = Path(tempfile.mkdtemp(prefix="rowgate-runbooks-"))
    folder.chmod(0o711)
    altered = {"worker": ["poison", "crash", "pause=0.01"], "second": ["poison", "crash", "pause=0.01"]}
    try:
        # One folder for all: the API's /metrics is that of each process.
        metrics = str(folder / "metrics")
        with (
            running_stack(folder / "stack", altered=altered, PROMETHEUS_MULTIPROC_DIR=metrics, FAULT_PAUSE_S="1") as stack,
            running_prometheus(folder, stack) as client,
        ):
            watched = Watched(stack, client)
            stack.assert_completed(stack.upload(SAMPLE))
            assert watched.list_held() == set()
            yield watched
            # Conditions that look back hold until the time that they look at has passed.
            assert wait_until(lambda: watched.list_held() == set(), timeout_s=SECONDS_OF_DEATHS + 30, interval_s=1), watched.list_held()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_prometheus(folder: Path, stack: Stack) -> Iterator[httpx.Client]:
    port = free_port()
    targets = [{"targets": [urlsplit(str(stack.client.base_url)).netloc]}]
    scraping = {"scrape_interval": "2s", "scrape_timeout": "2s"}
    config = {"global": scraping, "scrape_configs": [{"job_name": "rowgate-api", "static_configs": targets}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    assert PROMETHEUS is not None
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    child = Child(Command(name="prometheus", arguments=[PROMETHEUS, *arguments], directory=ROOT), log_file=folder / "prometheus.log")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            assert wait_until(lambda: is_scraping(client), timeout_s=60), list(child.last_lines)
            yield client
    finally:
        child.stop()


def is_scraping(client: httpx.Client) -> bool:
    try:
        answer = client.get("/api/v1/query", params={"query": "count_over_time(rowgate_workers_alive[15s]) >= 3"})
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])


@pytest.mark.parametrize(
    ("name", "alert", "also"), [(f"a-{POISON}", "RowgateLeasesTakenBack", "RowgateMachineFaults"), (f"a-{CRASH}", "RowgateJobsCrash", None)]
)
def test_job_that_dies_three_times_is_failed_and_others_go_on(name: str, alert: str, also: str | None, watched: Watched) -> None:
    job_id = watched.stack.upload(LONG, name=name)
    watched.wait_until_it_holds(alert)
    if also is not None:
        assert watched.holds(also)
    assert watched.stack.wait_until_ended(job_id)["status"] == "FAILED"
    assert job_id in "".join(watched.stack.read_log(part) for part in watched.stack.parts)
    watched.stack.assert_completed(watched.stack.upload(SAMPLE))


def test_workers_and_dispatcher_that_are_gone_are_started_again(watched: Watched) -> None:
    stack = watched.stack
    stack.start_worker("second")
    stack.wait_until_alive("second")
    assert wait_until(lambda: watched.finds(f"min_over_time(rowgate_workers_alive[{SECONDS_SEEN}s]) == 2"), timeout_s=40)
    stack.stop_part("second")
    watched.wait_until_it_holds("RowgateFewerWorkers")
    worker, dispatcher = stack.parts["worker"], stack.parts["dispatcher"]
    stack.stop_part("worker")
    watched.wait_until_it_holds("RowgateNoWorker")
    waiting = stack.upload(SAMPLE)
    stack.stop_part("dispatcher")
    watched.wait_until_it_holds("RowgateNoDispatcher")
    stack.start_part("worker", *worker.arguments)
    stack.start_worker("second")
    stack.start_part("dispatcher", *dispatcher.arguments)
    for alert in ("RowgateFewerWorkers", "RowgateNoWorker", "RowgateNoDispatcher"):
        watched.wait_until_it_is_gone(alert)
    stack.assert_completed(waiting)


@pytest.mark.parametrize(("server", "how", "alert"), [("postgres", signal.SIGINT, "RowgateDatabaseDown"), ("valkey", signal.SIGKILL, "RowgateRedisDown")])
def test_server_that_is_down_is_started_again(server: str, how: signal.Signals, alert: str, watched: Watched) -> None:
    watched.stack.stop_server(server, how)
    watched.wait_until_it_holds(alert)
    watched.stack.restart_server(server)
    watched.wait_until_it_is_gone(alert)
    watched.stack.assert_completed(watched.stack.upload(SAMPLE))


def test_redis_without_memory_is_given_some(watched: Watched) -> None:
    redis = Redis.from_url(watched.stack.servers["valkey"].url)
    redis.config_set("maxmemory", 1)
    waiting = watched.stack.upload(SAMPLE)
    watched.wait_until_it_holds("RowgateMessagesUnsent")
    redis.config_set("maxmemory", 0)
    redis.close()
    watched.stack.assert_completed(waiting)


@pytest.mark.skipif(not can_mount(), reason="this system lets its users mount no disk of their own")
def test_disk_that_is_full_is_given_room_and_a_folder_that_is_lost_is_mounted(watched: Watched) -> None:
    watched.stack.restart_api(prefix=mounting(watched.stack.uploads, size_bytes=2**20))
    watched.wait_until_it_holds("RowgateDiskFull")
    assert not watched.holds("RowgateStorageLost")
    watched.stack.restart_api(prefix=mounting(watched.stack.uploads, size_bytes=2**20, is_marked=False))
    watched.wait_until_it_holds("RowgateStorageLost")
    assert watched.stack.client.get("/api/health").status_code == 503
    assert watched.stack.try_upload(SAMPLE).status_code == 503
    watched.stack.restart_api()
    watched.wait_until_it_is_gone("RowgateStorageLost")
    if shutil.disk_usage(watched.stack.uploads).free > 2**30:
        watched.wait_until_it_is_gone("RowgateDiskFull")
    watched.stack.assert_completed(watched.stack.upload(SAMPLE))


def test_receiver_that_is_down_is_repaired_and_its_webhook_sent_again(watched: Watched) -> None:
    port, stack = free_port(), watched.stack
    job_id = stack.upload(SAMPLE, webhook_url=f"http://127.0.0.1:{port}/hook")
    watched.wait_until_it_holds("RowgateWebhooksExhausted")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        assert stack.client.post(f"/api/jobs/{job_id}/deliveries/redeliver").status_code == 202
        assert wait_until(lambda: stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"][0]["status"] == "DELIVERED", timeout_s=10)
    finally:
        server.shutdown()
        server.server_close()


def test_database_that_was_not_migrated_is(watched: Watched) -> None:
    def stamp(level: str) -> None:
        """Have the database say that it is at this level, as it would before `alembic upgrade head`, and after."""
        command = [sys.executable, "-m", "alembic", "stamp", level]
        subprocess.run(command, cwd=ROOT, env=watched.stack.environment, check=True, capture_output=True)

    stamp(f"{int(get_code_level()) - 1:04}")
    watched.wait_until_it_holds("RowgateMigrationMismatch")
    assert watched.stack.client.get("/api/health").json()["details"]["migration"]["status"] == "behind"
    stamp("head")
    watched.wait_until_it_is_gone("RowgateMigrationMismatch")
