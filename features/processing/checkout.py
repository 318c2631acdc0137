"""The file of a job as one of this machine, for the job's own attempt and for its outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from features.processing.machine_faults import FileMissing
from shared.jobs.stored_files import get_storage
from shared.storage.names import name_file
from shared.worker import shutdown

if TYPE_CHECKING:
    from shared.db.models import Job
    from shared.messages.tasks import TaskContext
    from shared.storage.base import CheckedOut


@asynccontextmanager
async def check_out(context: TaskContext, job: Job, *, needs_all: bool = False) -> AsyncIterator[CheckedOut]:
    """Give the job's file for the block, at once or, if `needs_all`, when all of it is there. Raises `FileMissing` if it is not stored any more."""
    async with AsyncExitStack() as stack:
        try:
            file = await stack.enter_async_context(get_storage(context).checkout(name_file(job.id, job.filename), must_stop=shutdown.must_stop))
        except FileNotFoundError as error:
            raise FileMissing from error
        if needs_all and file.arrival is not None:
            await asyncio.to_thread(file.arrival.wait_all)
            file = replace(file, arrival=None)
        yield file
