"""A separate environment for the other tools and for drawing charts, so that Rowgate depends on none of their packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from bench.measure import ROOT, say
from compose.bootstrap import make_venv, works

PEERS = ROOT / "bench" / ".peers"
REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
NAMED = ("clevercsv", "duckdb", "frictionless")


def prepare_peers() -> str:
    """Return the peers' interpreter; their environment is made or updated first if it does not match the requirements."""
    python, stamp = PEERS / "bin" / "python", PEERS / "requirements.txt"
    if not works(python):
        say("making bench/.peers")
        make_venv(PEERS)
    if not stamp.exists() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
        say("installing the peers")
        arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
        subprocess.run([str(python), *arguments], check=True, stdout=sys.stderr)
        stamp.write_bytes(REQUIREMENTS.read_bytes())
    return str(python)


def peer_versions(requirements: Path = REQUIREMENTS, *, names: Collection[str] = NAMED) -> list[str]:
    """Return the pins of the compared tools, without those of their dependencies."""
    return [line for line in requirements.read_text().splitlines() if line.partition("==")[0] in names]
