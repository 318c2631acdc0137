"""The other tools, and what draws, in an environment of their own: none of their dependencies is one of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.measure import ROOT, say
from compose.bootstrap import make_venv, works

PEERS = ROOT / "bench" / ".peers"
REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
NAMED = ("duckdb", "frictionless")


def prepare_peers() -> str:
    """The peers' interpreter; their environment is made where it is not what the requirements say."""
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


def peer_versions(requirements: Path = REQUIREMENTS) -> list[str]:
    """The pins of the tools that are compared, without those of what they need."""
    return [line for line in requirements.read_text().splitlines() if line.partition("==")[0] in NAMED]
