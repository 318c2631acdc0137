"""What an upload is measured beside, in a server of the same kind: `uvicorn bench.sinks:app`, with `SINK_DIR` in the environment."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import aiofiles
from fastapi import FastAPI, Request, UploadFile

CHUNK_BYTES = 8192
FOLDER = Path(os.environ.get("SINK_DIR", os.devnull))

app = FastAPI()


@app.get("/")
async def live() -> dict[str, str]:
    """Say that the server is there."""
    return {"status": "alive"}


@app.post("/drop", status_code=202)
async def drop_body(request: Request) -> dict[str, int]:
    """Read the body and drop it: the floor."""
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
