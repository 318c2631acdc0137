"""The services that the Compose files define, those elsewhere left out."""

from __future__ import annotations

from typing import Any

import yaml

from tests.paths import ROOT


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads Compose's two tags: `!reset` as None, `!override` as what stands after it."""


_Loader.add_constructor("!reset", lambda *_: None)
_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def load(name: str) -> dict[str, Any]:
    """Return a Compose file of compose/."""
    content: dict[str, Any] = yaml.load((ROOT / "compose" / f"{name}.yml").read_text(), _Loader)  # a safe one
    return content


MAIN = load("docker-compose")
INCLUDED = ("database", "redis", "store", "monitoring/compose")
SERVICES: dict[str, dict[str, Any]] = {name: service for file in ("docker-compose", *INCLUDED) for name, service in load(file)["services"].items()}
