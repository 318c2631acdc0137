"""Internal data types of the slice: what is in a backup."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

HEAD, DUMP, SUMS, MANIFEST = "rowgate-backup.json", "database.dump", "SHA256SUMS", "manifest.json"
"""The members of the tar file, in the order in which they are in it, with `FILES` after the dump."""
FILES = "uploads/"
"""Begins the name of each stored file, which goes on as below `UPLOAD_DIR`."""


class BackupFailed(Exception):
    """The backup or restore cannot be made; the message says why in one sentence, and what to do."""


class Head(BaseModel):
    """The first member: enough to refuse a backup before anything of it is read."""

    format: Literal[1] = 1
    created_at: str
    version: str
    """The version of the service that made it."""
    level: str
    """The migration level of the database."""


class FileEntry(BaseModel):
    """A stored file that the database knows of: that of a job, or of an output."""

    path: str
    """Below `UPLOAD_DIR`."""
    sha256: str
    job_id: uuid.UUID
    output_id: uuid.UUID | None = None


class Manifest(BaseModel):
    """The last member: what a restore has to have in the end."""

    rows: Mapping[str, int]
    """Rows of each table."""
    files: int
    bytes: int
    dump_sha256: str
    deleted_jobs: list[uuid.UUID]
    """Jobs of the dump that were deleted before their file was copied; a restore deletes them too."""
    lost_outputs: list[uuid.UUID]
    """Outputs of the dump whose file was removed before it was copied; they are made anew when somebody asks for them, as whenever a file is gone."""
    jobs_without_file: list[uuid.UUID]
    """Jobs whose file was not there although they were not deleted."""
    damaged: list[str]
    """Files that are no longer what was uploaded, or made."""
