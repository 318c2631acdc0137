"""Endpoints that uploads are compared with, in a server of the same kind: `uvicorn bench.sinks:app`, with `SINK_DIR` in the environment.

With the service's settings (`DATABASE_URL` …) there is also a table to insert into, through the same engine and pool as in an API process.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiofiles
from fastapi import FastAPI, Request, UploadFile
from sqlalchemy import text

from shared.db.session import open_database
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.web.database import SessionDep

CHUNK_BYTES = 8192
FOLDER = Path(os.environ.get("SINK_DIR", os.devnull))

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS sink_rows
(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())
"""
INSERT_ROW = "INSERT INTO sink_rows (name) VALUES ('sink')"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if "DATABASE_URL" not in os.environ:
        yield
        return

    async def send(_messages: Sequence[Message]) -> bool:
        return True

    settings = Settings()
    app.state.database = open_database(
        settings,
        send=send,
        application_name="bench-sinks",
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        command_timeout_s=settings.db_command_timeout_s,
    )
    async with app.state.database.unit_of_work() as session:
        await session.execute(text(CREATE_TABLE))
    yield
    await app.state.database.close()


app = FastAPI(lifespan=_lifespan)


@app.get("/")
async def live() -> dict[str, str]:
    """Say that the server is running."""
    return {"status": "alive"}


@app.post("/drop", status_code=202)
async def drop_body(request: Request) -> dict[str, int]:
    """Read the body and drop it: the least that any upload must do."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return {"size": size}


@app.post("/uploadfile", status_code=202)
async def copy_upload(file: UploadFile) -> dict[str, int]:
    """Copy FastAPI's `UploadFile` to disk, as tutorials show it; nothing is synced."""
    size = 0
    async with aiofiles.open(FOLDER / f"{uuid.uuid4()}.csv", "wb") as target:
        while piece := await file.read(CHUNK_BYTES):
            size += len(piece)
            await target.write(piece)
    return {"size": size}


@app.post("/insert", status_code=202)
async def insert_row(session: SessionDep) -> dict[str, str]:
    """Insert one row, committed before the answer is sent: the least that any request with a database insert must do."""
    await session.execute(text(INSERT_ROW))
    return {"status": "inserted"}
