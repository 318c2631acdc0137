"""The image: small, and nothing is missing that was left out of it."""

from __future__ import annotations

import subprocess

from compose.verify.stack import Stack, require, say

BASE = "python:3.13-slim"
MAX_ABOVE_BASE_MB = 400
IMPORT_ALL = """
import importlib, pkgutil
import celery_app, features, main, shared
for package in (features, shared):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith("shared.migrations.") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print("all modules are there")
"""


def prove_image(stack: Stack) -> None:
    """Check what the image weighs above its base, that every module of the service can be imported in it, and that it has no pip."""
    size_mb = (read_size(f"{stack.project}-api") - read_size(BASE)) / 1e6
    say(f"the image is {size_mb:.0f} MB above its base")
    require(size_mb <= MAX_ABOVE_BASE_MB, f"The image is {size_mb:.0f} MB above its base.")
    found = stack.compose("exec", "-T", "worker", "python3", "-c", IMPORT_ALL)
    require("all modules are there" in found, "A module cannot be imported in the image.")
    pip = stack.compose("exec", "-T", "worker", "sh", "-c", "command -v /opt/venv/bin/pip || true")
    require(not pip.strip(), "The image has pip.")


def read_size(image: str) -> int:
    """Return the size of an image in bytes."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603  # a fixed command
