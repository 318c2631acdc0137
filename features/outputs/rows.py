"""Rows of a job as they stand in its file, from an index that is made like an output when it is first asked for."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from features.outputs import queries
from features.outputs.ask import ask_for, locate
from features.outputs.problems import RowsFailed
from features.outputs.types import RowsWanted
from shared.db.models import Output, OutputStatus
from shared.jobs import output_state
from shared.jobs.queries import require_job
from shared.output_names import ROWS
from shared.rows_index import RowsIndex, RowsIndexDamaged

if TYPE_CHECKING:
    from shared.db.session import Database
    from shared.storage.base import Storage
    from shared.web.auth import Viewer

FAILURE_SHOWN = timedelta(seconds=30)
"""For how long a client is told why the index could not be made, before a request has it made anew."""


async def read_rows(database: Database, *, job_id: uuid.UUID, viewer: Viewer, wanted: RowsWanted, storage: Storage) -> bytes | Output:
    """Return the answer as JSON, or the index that is being made. Raises `JobNotFound`, `NoOutputs` or `RowsFailed`.

    No database connection is held while the file is read.
    """
    async with database.reading() as session:
        job = await require_job(session, job_id=job_id, viewer=viewer)
        index = await queries.get_output(session, job=job, name=ROWS)
    if index is not None and index.status is OutputStatus.READY and index.expired_at is None:
        try:
            return await asyncio.to_thread(_look_up, storage, locate(index), wanted)
        except (FileNotFoundError, RowsIndexDamaged):
            async with database.unit_of_work() as session:
                await output_state.lose(session, output_id=index.id, claim=index.claim)
    elif index is not None and index.status in {OutputStatus.QUEUED, OutputStatus.RUNNING}:
        return index
    elif index is not None and index.status is OutputStatus.FAILED and _is_recent(index):
        raise RowsFailed(index.error_message)
    async with database.unit_of_work() as session:
        return await ask_for(session, job_id=job_id, viewer=viewer, name=ROWS, storage=storage)


def _is_recent(index: Output) -> bool:
    return index.completed_at is not None and datetime.now(UTC) - index.completed_at < FAILURE_SHOWN


def _look_up(storage: Storage, name: str, wanted: RowsWanted) -> bytes:
    """Return the answer; runs in a thread. The rows are stored as JSON and go out as they are."""
    with RowsIndex(storage.open_reader(name)) as index:
        if wanted.around_row is not None:
            found = index.read_around(wanted.around_row, context=wanted.count, only_failed=wanted.only_failed)
        else:
            found = index.read_from(wanted.from_row, limit=wanted.count, only_failed=wanted.only_failed)
        next_row = b"null" if found.next_row is None else b"%d" % found.next_row
        return b'{"columns":%b,"rows":[%b],"next_from_row":%b}' % (index.read_columns(), b",".join(found.rows), next_row)
