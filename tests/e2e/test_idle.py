"""What worker and dispatcher cost while nothing is to be done."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from redis import Redis

from compose.processes import Child, Command, wait_until
from tests.e2e.test_logs import CELERY, DISPATCHER
from tests.paths import ROOT
from tests.services import Servers

WORKER = [*CELERY, "-Q", "processing", "-c", "4", "-n", "idle-worker@%h"]
MEASURED_S = 15.0
MAX_COMMANDS_PER_S = 10.0
MAX_WORKER_MIB, MAX_DISPATCHER_MIB = 330, 130
MAX_CPU_SHARE = 0.06
"""Of one core, for both and all their children."""


def is_ready(part: Child) -> bool:
    return any("ready." in line for line in part.last_lines)


def list_processes(pid: int) -> list[int]:
    """Return the process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def measure_cpu_s(pids: list[int]) -> float:
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def measure_memory_mib(pids: list[int]) -> float:
    """Return the memory of these processes; what several share counts once."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")]
    return sum(int(line.split()[1]) for line in lines) / 1024


def test_idle_worker_and_dispatcher_cost_little(servers: Servers, clean: None, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "LOG_FORMAT": "json", "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    environment |= {"UPLOAD_DIR": str(tmp_path / "uploads"), "WORKER_SHUTDOWN_TIMEOUT_S": "1", "ALIVE_FILE": str(tmp_path / "alive")}
    parts = {
        name: Child(Command(name=name, arguments=[sys.executable, *arguments], environment=environment, directory=ROOT), log_file=tmp_path / f"{name}.log")
        for name, arguments in (("worker", WORKER), ("dispatcher", DISPATCHER))
    }
    redis = Redis.from_url(servers.redis_url)
    try:
        for part in parts.values():
            assert wait_until(partial(is_ready, part), timeout_s=60), list(part.last_lines)
        time.sleep(5)  # the first tasks make their connections
        pids = {name: list_processes(part.pid) for name, part in parts.items()}
        before_s = measure_cpu_s([*pids["worker"], *pids["dispatcher"]])
        redis.config_resetstat()
        time.sleep(MEASURED_S)
        commands = sum(each["calls"] for each in redis.info("commandstats").values())
        cpu_share = (measure_cpu_s([*pids["worker"], *pids["dispatcher"]]) - before_s) / MEASURED_S
        memory_mib = {name: measure_memory_mib(each) for name, each in pids.items()}
        assert time.time() - (tmp_path / "alive").stat().st_mtime < 20
    finally:
        redis.close()
        for part in parts.values():
            part.stop()
    assert commands / MEASURED_S < MAX_COMMANDS_PER_S
    assert cpu_share < MAX_CPU_SHARE
    assert memory_mib["worker"] < MAX_WORKER_MIB, memory_mib
    assert memory_mib["dispatcher"] < MAX_DISPATCHER_MIB, memory_mib
