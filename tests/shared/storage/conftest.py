"""Both homes of stored files, each empty: a folder, and a bucket of a real store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from compose.object_store import Store
from shared.storage.base import Storage
from shared.storage.folder import FolderStorage
from shared.storage.location import Bucket
from shared.storage.s3 import S3Storage


@pytest.fixture(params=["folder", "bucket"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    made: Storage
    if request.param == "folder":
        made = FolderStorage(tmp_path / "uploads", chunk_size_bytes=8192, min_free_bytes=0)
        await made.prepare()
    else:
        made = S3Storage(request.getfixturevalue("bucket"), spill_dir=tmp_path)
    yield made
    await made.aclose()


@pytest.fixture
def bucket(store: Store) -> Bucket:
    return Bucket(
        name=store.bucket,
        prefix=f"tests/{uuid.uuid4()}",
        endpoint=store.url,
        region="us-east-1",
        access_key_id=store.access_key_id,
        read_secret=lambda: store.secret_access_key,
    )
