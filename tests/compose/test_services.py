"""PostgreSQL and Valkey from their wheels: they keep their data, recover from leftovers of a crash, and end with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from compose.local import ROOT
from compose.processes import Child, Command, get_warden, wait_until
from compose.services import ServiceFailed, command_line, start_postgres, start_valkey


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture
def abandoned(run_dir: Path) -> Iterator[dict[str, int]]:
    """Start servers in a process and kill it; yields the servers' process ids by name."""
    program = (
        "import sys, time; from pathlib import Path; from compose.services import *\n"
        "run_dir = Path(sys.argv[1])\n"
        "print(start_postgres(run_dir, durable=False).pid, start_valkey(run_dir, durable=False).pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        postgres, valkey = map(int, parent.stdout.readline().split())
        parent.kill()
    yield {"postgres": postgres, "valkey": valkey}
    for pid in (postgres, valkey):
        if command_line(pid):
            os.kill(pid, signal.SIGKILL)


def query(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_postgres_stopped_and_started_keeps_its_data(run_dir: Path) -> None:
    first = start_postgres(run_dir, durable=False)
    query(first.url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 'é' AS letter")
    first.stop()
    second = start_postgres(run_dir, durable=False)
    try:
        assert query(second.url, "SELECT upper(letter) FROM kept") == "É"
        assert query(second.url, "SELECT current_setting('max_connections')::int") == 300
    finally:
        second.stop()


def test_postgres_killed_starts_again(run_dir: Path) -> None:
    first = start_postgres(run_dir, durable=False)
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: first.child.exit_status() is not None, timeout_s=10)
    assert (run_dir / "postgres" / "postmaster.pid").exists()
    second = start_postgres(run_dir, durable=False)
    try:
        assert query(second.url, "SELECT 1") == 1
    finally:
        second.stop()


def test_pid_file_that_names_another_process_is_no_obstacle(run_dir: Path) -> None:
    start_postgres(run_dir, durable=False).stop()
    (run_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{run_dir / 'postgres'}\n")
    service = start_postgres(run_dir, durable=False)
    service.stop()


def test_server_still_running_on_the_same_files_is_replaced(run_dir: Path) -> None:
    first = start_postgres(run_dir, durable=False)
    second = start_postgres(run_dir, durable=False)
    try:
        assert first.child.exit_status() is not None
        assert query(second.url, "SELECT 1") == 1
    finally:
        second.stop()


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServiceFailed, match="was made by PostgreSQL 9"):
        start_postgres(tmp_path)


def test_valkey_keeps_messages_and_evicts_none(run_dir: Path) -> None:
    first = start_valkey(run_dir)
    with redis.Redis.from_url(first.url) as client:
        client.rpush("queue", "message")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    first.stop()
    second = start_valkey(run_dir)
    try:
        with redis.Redis.from_url(second.url) as client:
            assert client.lpop("queue") == b"message"
    finally:
        second.stop()


def test_valkey_without_the_password_is_refused(run_dir: Path) -> None:
    service = start_valkey(run_dir)
    try:
        with redis.Redis.from_url(f"redis://127.0.0.1:{service.url.rpartition(':')[2]}") as client, pytest.raises(redis.AuthenticationError):
            client.ping()
    finally:
        service.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help is Linux's")
def test_parent_killed_ends_both_servers(abandoned: dict[str, int]) -> None:
    assert wait_until(lambda: not any(map(command_line, abandoned.values())), timeout_s=10)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_parent_that_is_killed_leaves_nothing_of_its_children(end: signal.Signals, tmp_path: Path) -> None:
    """Not even a child that ignores the kernel's signal, and what that one has started."""
    program = (
        "import signal, sys, time; from pathlib import Path; from compose.processes import Child, Command\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored by whatever a shell runs in the background
        "script = \"trap '' TERM; sleep 60 & echo $$ $!; wait; wait\"\n"
        "command = Command(name='stubborn', arguments=['/bin/sh', '-c', script])\n"
        "child = Child(command, log_file=Path(sys.argv[1]), on_line=lambda _, line: print(line, flush=True))\n"
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.send_signal(end)
        parent.wait(10)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), timeout_s=20)


def test_warden_that_was_killed_is_replaced_by_one_that_knows_the_children(tmp_path: Path) -> None:
    child = Child(Command(name="sleeper", arguments=["/bin/sleep", "60"]), log_file=tmp_path / "log")
    try:
        first = get_warden()
        os.kill(first.pid, signal.SIGKILL)
        assert wait_until(first.has_ended, timeout_s=10)
        assert get_warden().groups >= {child.pid}
    finally:
        child.stop()
    assert child.pid not in get_warden().groups
