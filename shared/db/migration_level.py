"""Compare how far the database has been migrated with what this code needs. Without Alembic, which takes 7 MiB in every API process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

MIGRATIONS = Path(__file__).parent.parent / "migrations"

Standing = Literal["current", "behind", "ahead", "empty"]


@cache
def _list_levels() -> tuple[str, ...]:
    """Return all levels that this code knows, the newest first: the numbers with which the names of the migrations begin."""
    return tuple(sorted((path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")), reverse=True))


def get_code_level() -> str:
    """Return the newest migration of this code; reads files the first time."""
    return _list_levels()[0]


def judge_level(level: str | None) -> Standing:
    """Compare a database at `level` with this code; `ahead`: newer code has migrated it."""
    if level is None:
        return "empty"
    if level not in _list_levels():
        return "ahead"
    return "current" if level == get_code_level() else "behind"


async def get_database_level(session: AsyncSession) -> str | None:
    """Return the database's level; None before its first migration."""
    if await session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    level: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return level
