"""SQL of the processing slice: pieces of error records, in bulk and one at a time."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import undefer

from shared.db.models import ErrorPiece, Job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.types import Hold

_first_place = tuple_(ErrorPiece.first_row, ErrorPiece.first_column)


async def copy_pieces(session: AsyncSession, *, parts: Iterator[bytes], columns: Sequence[str]) -> None:
    """Insert pieces with COPY, in the session's transaction, which must have run a statement already; `parts` are one COPY in the binary format."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None

    async def source() -> AsyncIterator[bytes]:
        # asyncpg reads a file in threads, half a mebibyte at a time; an asynchronous iterator costs neither.
        for part in parts:
            yield part

    await driver.copy_to_table(ErrorPiece.__tablename__, source=source(), columns=list(columns), format="binary")


async def get_job(session: AsyncSession, *, job_id: uuid.UUID) -> Job | None:
    """Return the job with everything that opening its file takes."""
    loaded = undefer(Job.schema_given), undefer(Job.schema_inferred), undefer(Job.dialect)
    return (await session.scalars(select(Job).where(Job.id == job_id).options(*loaded))).one_or_none()


async def get_piece_after(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, place: tuple[int, int]) -> ErrorPiece | None:
    """Return the next piece of an attempt that begins after `place` (row, column); None if there is none."""
    statement = (
        select(ErrorPiece)
        .where(ErrorPiece.job_id == job_id, ErrorPiece.attempt == attempt, _first_place > tuple_(*place))
        .order_by(ErrorPiece.first_row, ErrorPiece.first_column)
        .limit(1)
    )
    return (await session.scalars(statement)).one_or_none()


async def get_first_after(session: AsyncSession, *, hold: Hold, place: tuple[int, int]) -> tuple[int, int] | None:
    """Return the first place (row, column) of the next piece that begins after `place`; None if there is none."""
    statement = (
        select(ErrorPiece.first_row, ErrorPiece.first_column)
        .where(_is_held(hold), _first_place > tuple_(*place))
        .order_by(ErrorPiece.first_row, ErrorPiece.first_column)
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else (row.first_row, row.first_column)


async def take_piece(session: AsyncSession, *, hold: Hold, place: tuple[int, int]) -> ErrorPiece | None:
    """Remove from the table, and return, the piece to which records at `place` (row, column) belong: the last one that does not begin after it."""
    found = (
        select(ErrorPiece.first_row, ErrorPiece.first_column)
        .where(_is_held(hold), _first_place <= tuple_(*place))
        .order_by(ErrorPiece.first_row.desc(), ErrorPiece.first_column.desc())
        .limit(1)
    )
    statement = delete(ErrorPiece).where(_is_held(hold), _first_place.in_(found)).returning(ErrorPiece)
    return (await session.scalars(statement, execution_options={"synchronize_session": False})).one_or_none()


def _is_held(hold: Hold) -> ColumnElement[bool]:
    return (ErrorPiece.job_id == hold.job_id) & (ErrorPiece.attempt == hold.attempt)
