"""Uploaded files and outputs on disk: their names, and small operations on them."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import stat
import unicodedata
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import aiofiles.os

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SAFE_NAME_LENGTH = 100


def safe_filename(filename: str) -> str:
    """Return `filename` as at most 100 ASCII letters, digits, dots, dashes and underscores, with its extension kept; never empty."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    stem, dot, extension = plain.rpartition(".")
    if not dot:
        stem, extension = plain, ""
    stem = _UNSAFE.sub("_", stem).strip("._-") or "file"
    extension = _UNSAFE.sub("", extension)[:10]
    return f"{stem[: _SAFE_NAME_LENGTH - len(extension) - 1]}{dot}{extension}"


def stored_path(upload_dir: Path, job_id: uuid.UUID, filename: str) -> Path:
    """Return the path of a job's file: `UPLOAD_DIR/{job_id}_{safe filename}`."""
    return upload_dir / f"{job_id}_{safe_filename(filename)}"


PARTIAL_SUFFIX = ".part"
"""Ends the name of a file that is still being written."""
TRASH_FOLDER = "trash"
"""Folder in `UPLOAD_DIR` with a folder for each day (`2026-11-30`) on which files without a job were moved there."""
OUTPUTS_FOLDER = "outputs"
"""Folder in `UPLOAD_DIR` with a folder for each job that has outputs, named by the job's id."""


def outputs_folder(upload_dir: Path, job_id: uuid.UUID) -> Path:
    """Return the folder of a job's outputs: `UPLOAD_DIR/outputs/{job_id}`; it need not exist."""
    return upload_dir / OUTPUTS_FOLDER / str(job_id)


def output_path(upload_dir: Path, *, job_id: uuid.UUID, output_id: uuid.UUID, claim: int, name: str) -> Path:
    """Return the path of an output's content as one claim of it makes it: two claims never write to the same file."""
    return outputs_folder(upload_dir, job_id) / f"{output_id}-{claim}-{name}"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_disk_full(error: OSError) -> bool:
    """Whether there is no room left: on the disk, within a quota, or for a file of this size."""
    return error.errno in _FULL


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (fsync(2))."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def file_exists(path: Path) -> bool:
    """Whether the file exists."""
    return await aiofiles.os.path.isfile(path)


async def remove_file(path: Path) -> bool:
    """Remove the file; False if it was already gone."""
    try:
        await aiofiles.os.remove(path)
    except FileNotFoundError:
        return False
    return True


def list_job_files(upload_dir: Path) -> Iterator[tuple[uuid.UUID, Path, float]]:
    """Yield every file in `upload_dir` whose name starts with a job id: the id, the path, and its time of last change (seconds since the epoch).

    Folders and links are nobody's upload and are passed over.
    """
    for path in upload_dir.iterdir():
        head, separator, _ = path.name.partition("_")
        if not separator:
            continue
        try:
            job_id = uuid.UUID(head)
            status = path.lstat()
        except (ValueError, FileNotFoundError):
            continue
        if stat.S_ISREG(status.st_mode):
            yield job_id, path, status.st_mtime


def move_to_trash(upload_dir: Path, path: Path) -> None:
    """Move a file that belongs to no job to today's folder of the trash. Raises `OSError`."""
    folder = upload_dir / TRASH_FOLDER / datetime.now(UTC).date().isoformat()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.rename(folder / path.name)


def empty_trash(upload_dir: Path, *, days: float) -> int:
    """Remove the folders of the trash whose day ended more than `days` ago; returns how many files went with them."""
    removed = 0
    for folder in _list_folder(upload_dir / TRASH_FOLDER):
        try:
            ended_at = datetime.combine(date.fromisoformat(folder.name), datetime.min.time(), UTC) + timedelta(days=1)
        except ValueError:  # not one that was made here
            continue
        if datetime.now(UTC) - ended_at > timedelta(days=days):
            files = len(_list_folder(folder))
            shutil.rmtree(folder, ignore_errors=True)
            removed += files
    return removed


async def remove_outputs(upload_dir: Path, job_id: uuid.UUID) -> None:
    """Remove the folder of a deleted job's outputs with everything in it; what cannot be removed is left to the sweep."""
    await asyncio.to_thread(shutil.rmtree, outputs_folder(upload_dir, job_id), ignore_errors=True)


async def list_output_files(upload_dir: Path, job_id: uuid.UUID) -> list[Path]:
    """Return the files, and folders, of the job's outputs; empty if it has none."""
    return await asyncio.to_thread(_list_folder, outputs_folder(upload_dir, job_id))


def _list_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


async def remove_output_files(paths: Sequence[Path]) -> None:
    """Remove these files and folders; what cannot be removed is left to the sweep."""
    await asyncio.to_thread(_remove_all, paths)


def _remove_all(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
