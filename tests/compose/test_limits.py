"""Each service of Compose has limits, and a worker's leaves room for what its processes may use."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.settings import MEBIBYTE, Settings
from tests.paths import ROOT

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose" / "docker-compose.yml").read_text())["services"]
UNITS = {"m": MEBIBYTE, "g": 1024 * MEBIBYTE}
SLOT_BYTES = 384 * MEBIBYTE
"""What a slot of a worker needs for any file that people make (docs/operations.md)."""


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_limits_on_memory_processes_and_cpu_time(name: str) -> None:
    service = SERVICES[name]
    assert parse_size(service["mem_limit"]) >= 512 * MEBIBYTE
    assert 64 <= service["pids_limit"] <= 4096
    assert 100_000 <= service["cpu_quota"] <= 800_000


def test_worker_has_room_for_its_slots_and_for_one_that_reaches_its_bound() -> None:
    slots = int(SERVICES["worker"]["command"].rpartition("-c ")[2])
    bound_bytes = Settings.model_fields["worker_memory_limit_bytes"].default
    assert parse_size(SERVICES["worker"]["mem_limit"]) >= slots * SLOT_BYTES + bound_bytes


def parse_size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]
