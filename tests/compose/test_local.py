"""Parts of the local stack that can be tested without running it."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from compose.console import LINES_PER_S, Console
from compose.demo import key_headers
from compose.local import ROOT, StackFailed, choose_port, chosen_port, given_environment, is_healthy, only_one
from compose.processes import Child, Command, wait_until
from compose.services import free_port


def test_free_port_wanted_is_taken() -> None:
    port = free_port()
    assert choose_port(port) == port


def test_taken_port_wanted_gives_another_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert choose_port(taken) != taken


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(StackFailed, match="PORT"):
        chosen_port()


def test_setting_that_makes_no_sense_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("CHUNK_ROWS=none\n")
    known = {"PATH": os.environ["PATH"], "RUN_DIR": str(tmp_path / "run"), "ENV_FILE": str(tmp_path / "settings"), "WORKER_SHUTDOWN_TIMEOUT_S": "soon"}
    for command in ("compose.local", "compose.demo"):
        result = subprocess.run([sys.executable, "-m", command], cwd=ROOT, env=known, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 1
        lines = (result.stdout + result.stderr).strip().splitlines()
        assert [line.split()[1] for line in lines] == ["CHUNK_ROWS:", "WORKER_SHUTDOWN_TIMEOUT_S:"]
        assert not (tmp_path / "run").exists()


def test_file_of_settings_comes_after_the_environment_and_before_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings").write_text(f"LOG_FORMAT=json\nLOG_LEVEL=ERROR\napi_keys=ada:{'k' * 20}\nCORS_ORIGINS=\n")
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    environment = given_environment()
    assert (environment["LOG_FORMAT"], environment["LOG_LEVEL"], environment["WORKER_SHUTDOWN_TIMEOUT_S"]) == ("json", "DEBUG", "5")
    assert "CORS_ORIGINS" not in environment
    assert key_headers() == {"X-API-Key": "k" * 20}
    monkeypatch.setenv("ENV_FILE", "")
    assert key_headers() == {}


@pytest.mark.parametrize("content", [None, b"LOG_LEVEL=\xff\xfe"], ids=["not there", "no text"])
def test_file_of_settings_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "settings"))
    if content is not None:
        (tmp_path / "settings").write_bytes(content)
    with pytest.raises(StackFailed):
        given_environment()


def test_folder_in_use_is_refused_and_free_afterwards(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(StackFailed, match="already runs"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_other_web_server_is_not_taken_for_this_service() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert not is_healthy(server.server_port)
        thread.join()


def test_flood_of_lines_is_counted_instead_of_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("compose.console.time.monotonic", lambda: now)
    console = Console(tmp_path)
    console.show("api", "before")
    console.follow = True
    console.show("api", "2026-11-23T18:18:57Z [info     ] Scheduler: Sending due task health.beat (health.beat) [celery.beat]")
    for number in range(LINES_PER_S + 5):
        console.show("api", f"line {number}")
    now = 101.0
    console.show("api", "later")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == LINES_PER_S + 2
    assert "5 more lines" in lines[-2]
    assert lines[-1].endswith("later")


def test_child_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    import signal

    script = "trap '' TERM; sleep 60 & echo ready; wait; wait"
    command = Command(name="stubborn", arguments=["/bin/sh", "-c", script], stop_signals=((signal.SIGTERM, 0.2),))
    child = Child(command, log_file=tmp_path / "stubborn.log")
    assert wait_until(lambda: "ready" in child.last_lines, timeout_s=10)
    child.stop()
    assert child.exit_status() == -signal.SIGKILL
    assert (tmp_path / "stubborn.log").read_text() == "ready\n"


def test_sample_is_what_its_script_makes(tmp_path: Path) -> None:
    data = ROOT / "tests" / "data"
    subprocess.run([sys.executable, str(data / "make_orders.py"), str(tmp_path / "orders.csv")], check=True)
    assert (tmp_path / "orders.csv").read_bytes() == (data / "orders.csv").read_bytes()
