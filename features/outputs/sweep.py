"""Remove what lies in the folder of outputs and belongs to nobody: of claims that are over, of jobs that were retried or deleted, of retention."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from features.outputs import queries
from features.outputs.metrics import FILES_SWEPT
from shared.db.models import OutputStatus
from shared.jobs.storage import OUTPUTS_FOLDER, PARTIAL_SUFFIX

if TYPE_CHECKING:
    from shared.db.session import Database

UNTOUCHED_S = 900.0
"""For how long nothing must have happened to an empty folder, or to what no output is called like, before it is removed."""
BATCH_FILES = 1000
_OF_CLAIM = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([0-9]{1,18})-.+")
"""The names that `output_path` gives, and those of folders beside it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file, or folder, in the folder of a job."""

    path: Path
    changed_at: float
    output_id: uuid.UUID | None
    """None: it is called like no output's."""
    claim: int = 0


async def sweep_outputs(database: Database, *, upload_dir: Path) -> int:
    """Remove what no output's present claim has; returns how many files and folders.

    A claim is committed before its first file is made, and the files are listed before the claims are looked up. So a file of a claim that is not the
    present one by then is no one's, however new it is.
    """
    found = await asyncio.to_thread(lambda: list(_list_files(upload_dir / OUTPUTS_FOLDER)))
    removed = 0
    for start in range(0, len(found), BATCH_FILES):
        batch = found[start : start + BATCH_FILES]
        async with database.reading() as session:
            kept = await queries.list_kept_claims(session, output_ids={each.output_id for each in batch if each.output_id is not None})
        removed += await asyncio.to_thread(_remove_unkept, batch, kept)
    removed += await asyncio.to_thread(_remove_empty, upload_dir / OUTPUTS_FOLDER)
    if removed:
        FILES_SWEPT.inc(removed)
        log.info("removed files of outputs that belonged to nobody", files=removed)
    return removed


def _list_files(folder: Path) -> Iterator[Found]:
    """Yield what lies in the folders of jobs."""
    for of_job in _list_folder(folder):
        if not of_job.is_dir() or of_job.is_symlink():
            continue
        for path in _list_folder(of_job):
            try:
                changed_at = path.lstat().st_mtime
            except FileNotFoundError:
                continue
            named = _OF_CLAIM.fullmatch(path.name)
            if named is None:
                yield Found(path=path, changed_at=changed_at, output_id=None)
            else:
                yield Found(path=path, changed_at=changed_at, output_id=uuid.UUID(named[1]), claim=int(named[2]))


def _list_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _remove_unkept(batch: list[Found], kept: Mapping[uuid.UUID, tuple[int, OutputStatus]]) -> int:
    oldest = time.time() - UNTOUCHED_S
    removed = 0
    for each in batch:
        if each.output_id is None:
            is_kept = each.changed_at >= oldest
        else:
            claim, status = kept.get(each.output_id, (None, None))
            # Of an output that is READY only the file stays, not the folder in which it was made.
            is_kept = claim == each.claim and (status is OutputStatus.RUNNING or not each.path.name.endswith(PARTIAL_SUFFIX))
        if not is_kept and remove(each.path):
            removed += 1
    return removed


def _remove_empty(folder: Path) -> int:
    """Remove the folders of jobs that have been empty for a while."""
    oldest = time.time() - UNTOUCHED_S
    removed = 0
    for of_job in _list_folder(folder):
        try:
            if of_job.lstat().st_mtime < oldest:
                of_job.rmdir()
                removed += 1
        except OSError:  # it is not empty, or no folder
            continue
    return removed


def remove(path: Path) -> bool:
    """Remove the file, or the folder with everything in it; False if it is still there, or was gone."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:  # one file must not keep the others
        log.warning("a file of an output cannot be removed", path=path.name, reason=error.strerror)
        return False
    return True
