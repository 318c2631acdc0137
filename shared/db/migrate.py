"""Bring the database up to date, as `alembic upgrade head` does: one process at a time, under an advisory lock, each migration a line of the log."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

ROOT = Path(__file__).resolve().parents[2]


def migrate() -> None:
    """Run the migrations that the database lacks. Raises whatever the database says if it cannot be reached or a migration fails."""
    command.upgrade(Config(toml_file=ROOT / "pyproject.toml"), "head")
