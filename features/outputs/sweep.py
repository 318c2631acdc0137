"""Remove what lies in the folder of outputs and belongs to nobody: of claims that are over, of jobs that were retried or deleted, of retention."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from features.outputs import queries
from features.outputs.metrics import FILES_SWEPT
from shared.db.models import OutputStatus
from shared.storage.names import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.storage.base import Storage, StoredFile

UNTOUCHED_S = 900.0
"""For how long nothing must have happened to an empty folder, or to what no output is called like, before it is removed."""
_OF_CLAIM = re.compile(r".+/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([0-9]{1,18})-.+")
"""The names that `name_output` gives, and those of folders beside it."""

log = structlog.get_logger(__name__)


async def sweep_outputs(database: Database, storage: Storage) -> int:
    """Remove what no output's present claim has; returns how many files and folders. Raises `OSError`.

    A claim is committed before its first file is made, and the files are listed before the claims are looked up. So a file of a claim that is not the
    present one by then is no one's, however new it is.
    """
    oldest = await storage.read_clock() - UNTOUCHED_S
    removed = 0
    async for files in storage.list_outputs():
        removed += await _sweep(database, storage, files, oldest=oldest)
    removed += await storage.remove_empty_outputs(untouched_s=UNTOUCHED_S)
    if removed:
        FILES_SWEPT.inc(removed)
        log.info("removed files of outputs that belonged to nobody", files=removed)
    return removed


async def _sweep(database: Database, storage: Storage, files: Sequence[StoredFile], *, oldest: float) -> int:
    claims = {found.name: (uuid.UUID(named[1]), int(named[2])) for found in files if (named := _OF_CLAIM.fullmatch(found.name)) is not None}
    async with database.reading() as session:
        kept = await queries.list_kept_claims(session, output_ids={output_id for output_id, _claim in claims.values()})
    removed = 0
    for found in files:
        # What no output is called like is removed when nothing has happened to it for a while.
        is_kept = _is_kept(found.name, claims[found.name], kept) if found.name in claims else found.changed_at >= oldest
        if not is_kept and await remove(storage, found.name):
            removed += 1
    return removed


def _is_kept(name: str, claimed: tuple[uuid.UUID, int], kept: Mapping[uuid.UUID, tuple[int, OutputStatus]]) -> bool:
    output_id, claim = claimed
    present, status = kept.get(output_id, (None, None))
    # Of an output that is READY only the file stays, not the folder in which it was made.
    return present == claim and (status is OutputStatus.RUNNING or not name.endswith(PARTIAL_SUFFIX))


async def remove(storage: Storage, name: str) -> bool:
    """Remove the file, or the folder with everything in it; False if it is still there, or was gone."""
    try:
        return await storage.remove(name)
    except OSError as error:  # one file must not keep the others
        log.warning("a file of an output cannot be removed", file=name, reason=error.strerror)
        return False
