"""The services that the Compose files define, those elsewhere left out."""

from __future__ import annotations

from typing import Any

import yaml

from tests.paths import ROOT


def load(name: str) -> dict[str, Any]:
    """Return a Compose file of compose/."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose" / f"{name}.yml").read_text())
    return content


MAIN = load("docker-compose")
SERVICES: dict[str, dict[str, Any]] = {name: service for file in ("docker-compose", "database", "redis") for name, service in load(file)["services"].items()}
