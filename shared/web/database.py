"""The database for requests: as a whole, as one transaction, or for reading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.session import Database


async def get_database(request: Request) -> Database:  # async, because FastAPI would call a plain function in a thread
    """Return the application's database, which its lifespan opened."""
    database: Database = request.app.state.database
    return database


DatabaseDep = Annotated[Database, Depends(get_database)]


async def open_unit_of_work(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    """Open one transaction for one request."""
    async with database.unit_of_work() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(open_unit_of_work, scope="function")]
"""Ends before the response is sent (`scope="function"`), so that a failed commit is a 5xx and never a 2xx."""


async def open_reading(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    """Open a session in which one request only reads."""
    async with database.reading() as session:
        yield session


ReadingDep = Annotated[AsyncSession, Depends(open_reading, scope="function")]
