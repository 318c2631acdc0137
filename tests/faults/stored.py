"""What a stack under faults has stored: looked at, and changed, past the service."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import obstore

from compose.object_store import Store
from shared.storage.location import Bucket
from shared.storage.names import MARKER, OUTPUTS_FOLDER, TRASH_FOLDER
from shared.storage.s3_unfinished import UnfinishedUploads
from tests.paths import list_stored

PREFIX = "faults"


class Stored(Protocol):
    """The stored files of one stack."""

    def list_files(self) -> Sequence[str]:
        """Return the names of all files of jobs, and of whatever else lies among them."""
        ...

    def list_outputs(self, job_id: str = "") -> dict[str, tuple[int, str]]:
        """Return size and SHA-256 of each output that is stored, by the last part of its name."""
        ...

    def remove_files_of(self, job_id: str) -> None:
        """Remove the file of a job."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Store a file."""
        ...

    def clear(self) -> None:
        """Remove everything."""
        ...


class StoredInFolder:
    """In a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list_files(self) -> Sequence[str]:
        return sorted(path.name for path in list_stored(self.folder) if path.name != OUTPUTS_FOLDER)

    def list_outputs(self, job_id: str = "") -> dict[str, tuple[int, str]]:
        found = {}
        for parent, _, names in os.walk(self.folder / OUTPUTS_FOLDER / job_id):
            for name in names:
                with suppress(FileNotFoundError):  # it was removed meanwhile
                    content = Path(parent, name).read_bytes()
                    found[name] = (len(content), hashlib.sha256(content).hexdigest())
        return found

    def remove_files_of(self, job_id: str) -> None:
        for path in self.folder.glob(f"{job_id}*"):
            path.unlink()

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class StoredInBucket:
    """In a bucket, asked without the proxy."""

    def __init__(self, store: Store) -> None:
        self._bucket = Bucket(
            name=store.bucket,
            prefix=PREFIX,
            endpoint=store.url,
            region="us-east-1",
            access_key_id=store.access_key_id,
            read_secret=lambda: store.secret_access_key,
        )
        self._store = store.open(PREFIX)

    def _list(self, prefix: str | None = None) -> list[str]:
        return [found["path"] for batch in obstore.list(self._store, prefix) for found in batch]

    def list_files(self) -> Sequence[str]:
        return sorted(name for name in self._list() if not name.startswith((f"{OUTPUTS_FOLDER}/", f"{TRASH_FOLDER}/", MARKER)))

    def list_outputs(self, job_id: str = "") -> dict[str, tuple[int, str]]:
        found = {}
        for name in self._list(f"{OUTPUTS_FOLDER}/{job_id}".rstrip("/")):
            with suppress(FileNotFoundError):
                content = bytes(obstore.get(self._store, name).bytes())
                found[name.rpartition("/")[2]] = (len(content), hashlib.sha256(content).hexdigest())
        return found

    def remove_files_of(self, job_id: str) -> None:
        for name in self.list_files():
            if name.startswith(job_id):
                obstore.delete(self._store, name)

    def put(self, name: str, content: bytes) -> None:
        obstore.put(self._store, name, content)

    def list_trash(self) -> list[str]:
        """Return the names of what was moved to the trash, without their folders."""
        return [name.rpartition("/")[2] for name in self._list(TRASH_FOLDER)]

    def count_unfinished(self) -> int:
        """Return how many multipart uploads are neither completed nor aborted."""
        return asyncio.run(UnfinishedUploads(self._bucket).count())

    def clear(self) -> None:
        """Its store ends with the stack, and its files with that."""
