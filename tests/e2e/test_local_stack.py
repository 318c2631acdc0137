"""The stack of `make run` as its user sees it: started, refused a second time, killed, started again, broken, stopped."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openpyxl
import pytest

from compose.local import ROOT
from compose.processes import wait_until
from compose.services import free_port

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc"),
]


class Run:
    """One run of `python -m compose.local`."""

    def __init__(self, run_dir: Path, *, port: int) -> None:
        self.output_file = run_dir.parent / f"output-{port}.txt"
        environment = {**os.environ, "RUN_DIR": str(run_dir), "PORT": str(port)}
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "compose.local"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def wait_until_up(self) -> httpx.Client:
        wait_until(lambda: "Rowgate is up" in self.output or self.process.poll() is not None, timeout_s=120)
        found = re.search(r"Rowgate is up:\s+(http://\S+)", self.output)
        assert found, self.output
        return httpx.Client(base_url=found[1], timeout=10)

    def descendants(self) -> dict[int, str]:
        """Return the command names of all descendant processes, by id."""
        parents: dict[int, tuple[int, str]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, tail = stat.read_text().rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid, _, name = head.partition(" (")
            parents[int(pid)] = (int(tail.split()[1]), name)
        found = {self.process.pid: ""}
        while added := {pid: name for pid, (parent, name) in parents.items() if parent in found and pid not in found}:
            found.update(added)
        del found[self.process.pid]
        return found

    def end(self) -> None:
        """End everything that a test left running."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_gone(processes: dict[int, str], *, timeout_s: float) -> None:
    wait_until(lambda: not any(map(is_running, processes)), timeout_s=timeout_s)
    left = {pid: name for pid, name in processes.items() if is_running(pid)}
    assert not left


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack") / "data"


@pytest.fixture
def start(run_dir: Path) -> Iterator[Callable[[], Run]]:
    runs: list[Run] = []

    def start_one() -> Run:
        runs.append(Run(run_dir, port=free_port()))
        return runs[-1]

    yield start_one
    for run in runs:
        run.end()


def test_supervisor_killed_leaves_nothing_running_and_the_next_run_has_its_data(start: Callable[[], Run], tmp_path: Path) -> None:
    first = start()
    with first.wait_until_up() as client:
        assert client.get("/docs").status_code == 200
        assert "curl -F file=@tests/data/orders.csv" in first.output
        assert "private addresses" in first.output
        job_id = client.post("/api/files/upload", files={"file": ("a.csv", b"a,b\n1,2\n")}).raise_for_status().json()["job_id"]
        demo = subprocess.run(
            [sys.executable, "-m", "compose.demo"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(client.base_url.port), "COLUMNS": "200", "RUN_DIR": str(tmp_path / "demo-run")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert "315 errors in 293 of 10,006 rows" in demo.stdout
        assert "type-error" in demo.stdout
        rejected = openpyxl.load_workbook(tmp_path / "demo-run" / "demo" / "rejected.xlsx", read_only=True).active
        assert rejected is not None
        assert len(list(rejected.iter_rows())) == 1 + 293
        with (tmp_path / "demo-run" / "demo" / "valid.csv").open(newline="", encoding="utf-8") as valid:
            assert len(list(csv.reader(valid))) == 1 + 10_006 - 293
    second = start()
    assert second.process.wait(30) == 1
    assert "already runs" in second.output

    below = first.descendants()
    assert len(below) > 10, below  # 4 uvicorn processes, 4 Celery children, PostgreSQL's own …
    first.process.kill()
    first.process.wait()
    assert_gone(below, timeout_s=10)

    third = start()
    with third.wait_until_up() as client:
        assert client.get(f"/api/jobs/{job_id}").status_code == 200
        assert wait_until(lambda: client.get(f"/api/jobs/{job_id}").json()["status"] == "COMPLETED", timeout_s=60, interval_s=0.5)
    below = third.descendants()
    third.process.terminate()
    assert third.process.wait(60) == 0
    assert_gone(below, timeout_s=10)
    assert third.output.rstrip().endswith("Stopped.")


def test_part_that_dies_ends_the_stack_and_is_named(start: Callable[[], Run]) -> None:
    run = start()
    run.wait_until_up().close()
    below = run.descendants()
    worker = next(pid for pid in below if "-Q processing" in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    os.kill(worker, signal.SIGKILL)
    assert run.process.wait(60) == 1
    assert "worker has ended by itself (SIGKILL)" in run.output
    assert_gone(below, timeout_s=10)


def test_stop_asked_while_starting_ends_everything(start: Callable[[], Run]) -> None:
    run = start()
    assert wait_until(lambda: any(name == "postgres" for name in run.descendants().values()), timeout_s=30)
    below = run.descendants()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 0
    assert_gone(below, timeout_s=10)
