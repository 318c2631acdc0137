"""The processing slice's SQL: errors in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.db.models import ProcessingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession


async def copy_errors(session: AsyncSession, *, pieces: AsyncIterator[bytes], columns: Sequence[str]) -> None:
    """Insert error records with COPY, within the session's transaction, which must have run a statement already.

    `pieces` are text in PostgreSQL's CSV format without a header: an unquoted empty value is NULL.
    """
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    await driver.copy_to_table(ProcessingError.__tablename__, source=pieces, columns=list(columns), format="csv")
