"""The file for workers on other machines: the worker of the whole, which does not start without its servers and its folder."""

from __future__ import annotations

from typing import Any

from tests.compose_files import load

WORKER: dict[str, Any] = load("worker")["services"]["worker"]


def test_worker_alone_is_the_worker_of_the_whole_and_waits_for_nobody() -> None:
    assert WORKER["extends"] == {"file": "docker-compose.yml", "service": "worker"}
    assert WORKER["depends_on"] is None
    assert WORKER["networks"] == ["default"]


def test_worker_alone_does_not_start_without_its_servers_and_its_folder() -> None:
    [uploads] = WORKER["volumes"]
    for name, value in WORKER["environment"].items():
        assert value.startswith(f"${{{name}?"), name  # it may be empty, if a file is named
    assert uploads["source"].startswith("${UPLOAD_DIR:?")
    assert WORKER["environment"].keys() == {"DATABASE_URL", "REDIS_URL"}
    assert uploads["bind"] == {"create_host_path": False}


def test_worker_of_a_store_needs_the_store_in_place_of_a_folder() -> None:
    worker: dict[str, Any] = load("worker-s3")["services"]["worker"]
    assert worker["extends"] == {"file": "docker-compose.yml", "service": "worker-s3"}
    assert (worker["depends_on"], worker["profiles"], worker["networks"]) == (None, None, ["default"])
    assert worker["environment"].keys() == {"DATABASE_URL", "REDIS_URL", "STORAGE_URL"}
    assert all(value.startswith(f"${{{name}?") for name, value in worker["environment"].items())
    assert "volumes" not in worker
