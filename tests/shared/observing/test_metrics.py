"""Metrics of many processes in one folder: any process answers for all, and no count is lost when one dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT

PRELUDE = """
import os, signal, time
from pathlib import Path
from shared.observing import metrics
folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

def fork(work):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(writer, b"x")
        time.sleep(60)
    assert os.read(reader, 1) == b"x"
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def value(name):
    found = [line.rpartition(" ")[2] for line in metrics.render_metrics().decode().splitlines() if line.startswith(name)]
    return [float(number) for number in found]

def work(**_):
    metrics.MESSAGES_UNSENT.inc(10)
    metrics.HTTP_SECONDS.labels(method="GET", route="/x", status="200").observe(0.02)
    metrics.HTTP_IN_PROGRESS.inc()
    metrics.POOL_CHECKED_OUT.set(3)
"""


def run(folder: Path, code: str) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    result = subprocess.run([sys.executable, "-c", PRELUDE + code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr


def test_living_processes_are_added_up_and_gauges_of_the_dead_are_gone(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
children = [fork(work) for _ in range(4)]
assert value("rowgate_messages_unsent_total") == [40]
assert value('rowgate_http_request_duration_seconds_count{') == [4]
assert value("rowgate_http_requests_in_progress") == [4]
assert sorted(value("rowgate_db_pool_checked_out{")) == [0, 3, 3, 3, 3]  # the first is this process, the parent
kill(children.pop())
assert value("rowgate_messages_unsent_total") == [40]
assert value('rowgate_http_request_duration_seconds_bucket{le="0.025"') == [4]
assert value("rowgate_http_requests_in_progress") == [3]
assert sorted(value("rowgate_db_pool_checked_out{")) == [0, 3, 3, 3]
for child in children:
    kill(child)
assert value("rowgate_messages_unsent_total") == [40]
assert value("rowgate_http_requests_in_progress") == [0]
""",
    )


def test_generations_of_killed_children_lose_no_count_and_leave_no_more_files(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
kill(fork(work))
files = sorted(path.name for path in folder.iterdir())
for _ in range(30):
    kill(fork(work))
assert sorted(path.name for path in folder.iterdir()) == files
assert value("rowgate_messages_unsent_total") == [310]
assert value('rowgate_http_request_duration_seconds_count{') == [31]
""",
    )


def test_process_that_takes_over_a_number_begins_its_gauges_at_zero(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
kill(fork(work))
child = fork(lambda: metrics.MESSAGES_UNSENT.inc(1))
assert value("rowgate_messages_unsent_total") == [11]
assert value("rowgate_http_requests_in_progress") == [0]
kill(child)
""",
    )


def test_counts_outlive_all_processes_of_the_service(tmp_path: Path) -> None:
    run(tmp_path, "work()")
    run(tmp_path, 'assert value("rowgate_messages_unsent_total") == [10]; assert value("rowgate_http_requests_in_progress") == [0]')


def test_processes_that_start_at_the_same_moment_share_no_number(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
children = [pid for pid in (os.fork() for _ in range(3))]  # 8 processes
for _ in range(200):
    metrics.MESSAGES_UNSENT.inc(1)
for pid in children:
    if pid:
        os.waitpid(pid, 0)
if 0 not in children:
    assert value("rowgate_messages_unsent_total") == [1600]
""",
    )
